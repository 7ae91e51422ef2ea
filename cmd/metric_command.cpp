#include "cmd/metric_command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "lib/base/interrupt.h"
#include "lib/base/text.h"

extern char** environ;

namespace roundel::cmd {
namespace {

constexpr std::string_view kPlace = "{model}";
constexpr size_t kMostOutput = 1 << 16;  // of which the end is kept
constexpr int kPollMilliseconds = 100;

std::string ShellQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string WithModel(std::string command, const std::string& model) {
  const std::string quoted = ShellQuoted(model);
  for (size_t at = 0; (at = command.find(kPlace, at)) != std::string::npos; at += quoted.size())
    command.replace(at, kPlace.size(), quoted);
  return command;
}

// A shell in a process group of its own, whose standard output we read.
class Child {
 public:
  Status Start(const std::string& line) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
      return InternalError(StrCat("--metric-command: no pipe: ", std::strerror(errno)));
    output_ = ends[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t defaults;
    sigemptyset(&defaults);
    for (const int signal : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP})
      sigaddset(&defaults, signal);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    std::string words[] = {"sh", "-c", line};
    char* const argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    const int code = posix_spawn(&pid_, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(ends[1]);
    if (code == 0) return OkStatus();
    pid_ = -1;
    return InternalError(StrCat("--metric-command: cannot start /bin/sh: ", std::strerror(code)));
  }

  // Standard output to its end. False after the deadline or an interruption.
  bool Read(std::chrono::steady_clock::time_point deadline, std::string* text) {
    pollfd wait = {output_, POLLIN, 0};
    char buffer[4096];
    while (!Interrupted() && std::chrono::steady_clock::now() < deadline) {
      if (poll(&wait, 1, kPollMilliseconds) <= 0) continue;
      const ssize_t count = read(output_, buffer, sizeof buffer);
      if (count == 0) return true;
      if (count > 0) text->append(buffer, static_cast<size_t>(count));
      if (text->size() > 2 * kMostOutput) text->erase(0, text->size() - kMostOutput);
    }
    return false;
  }

  // The status of the shell after its output has ended. False as for Read.
  bool Wait(std::chrono::steady_clock::time_point deadline, int* status) {
    while (!Interrupted() && std::chrono::steady_clock::now() < deadline) {
      if (waitpid(pid_, status, WNOHANG) == pid_) {
        pid_ = -1;
        return true;
      }
      usleep(2000);
    }
    return false;
  }

  ~Child() {
    if (output_ >= 0) close(output_);
    if (pid_ <= 0) return;
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  int output_ = -1;
  pid_t pid_ = -1;
};

Result<double> NumberIn(const std::string& output) {
  std::string last;
  for (const std::string& line : Split(output, '\n'))
    if (!Trim(line).empty()) last = Trim(line);
  char* end = nullptr;
  const double number = std::strtod(last.c_str(), &end);
  if (!last.empty() && *end == '\0' && std::isfinite(number)) return number;
  return DataError(last.empty()
                       ? "printed nothing on standard output; its last line has to be a number"
                       : StrCat("printed '", Printable(last), "' last, which is no number"));
}

}  // namespace

Result<double> RunMetricCommand(const std::string& command, const std::string& model,
                                double timeout) {
  const std::string where = StrCat("--metric-command on '", Printable(model), "'");
  if (command.find(kPlace) == std::string::npos)
    return UsageError("--metric-command needs {model} where the path of the model belongs");
  using Clock = std::chrono::steady_clock;
  const auto deadline = timeout > 0 ? Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                         std::chrono::duration<double>(timeout))
                                    : Clock::time_point::max();
  Child child;
  RETURN_IF_ERROR(child.Start(WithModel(command, model)));
  std::string output;
  int status = 0;
  if (!child.Read(deadline, &output) || !child.Wait(deadline, &status)) {
    if (Interrupted()) return InterruptedError();
    return DataError(StrCat(where, ": took longer than ", timeout, " s (--metric-timeout)"));
  }
  if (WIFSIGNALED(status)) return DataError(StrCat(where, ": ended by signal ", WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0)
    return DataError(
        StrCat(where, ": exited with code ", WEXITSTATUS(status),
               WEXITSTATUS(status) == 127 ? ", as for a command that is not found" : ""));
  Result<double> number = NumberIn(output);
  if (!number.ok()) return std::move(number).status().At(where);
  return number;
}

}  // namespace roundel::cmd
