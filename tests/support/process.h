#pragma once
// Runs a program, or a part of a test, in a separate process, and returns how it ended.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/temp_folder.h"

namespace roundel::support {

struct ProcessResult {
  int code = 0;  // exit code, or -signal
  std::string out, err;
};

// A child that runs `body` and exits with its value. SIGALRM ends it after `seconds`, so that an
// endless wait fails the test instead of blocking it.
template <typename Body>
pid_t StartChild(const Body& body, unsigned seconds = 120) {
  const pid_t child = fork();
  if (child != 0) return child;
  alarm(seconds);
  _exit(body());
}

inline int WaitFor(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

template <typename Body>
int InChild(const Body& body) {
  return WaitFor(StartChild(body));
}

inline void RedirectTo(const std::string& path, int fd) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(file, fd);
  close(file);
}

// Starts a program with its output in files; `prepare` runs in the child just before.
inline pid_t StartProgram(std::vector<std::string> args, const std::string& out,
                          const std::string& err, const std::function<void()>& prepare = {}) {
  return StartChild([&] {
    RedirectTo(out, STDOUT_FILENO);
    RedirectTo(err, STDERR_FILENO);
    if (prepare) prepare();
    std::vector<char*> words;
    for (std::string& arg : args) words.push_back(arg.data());
    words.push_back(nullptr);
    execv(words[0], words.data());
    return 126;
  });
}

inline std::string FileText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

inline ProcessResult RunProgram(const std::vector<std::string>& args,
                                const std::function<void()>& prepare = {}) {
  const TempFolder folder;
  const std::string out = folder / "out", err = folder / "err";
  ProcessResult result;
  result.code = WaitFor(StartProgram(args, out, err, prepare));
  result.out = FileText(out);
  result.err = FileText(err);
  return result;
}

inline ProcessResult Shell(const std::string& command) {
  return RunProgram({"/bin/sh", "-c", command});
}

}  // namespace roundel::support
