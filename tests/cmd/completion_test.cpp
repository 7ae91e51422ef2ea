// Completion in the real shells: the test types a line with tabs on a terminal, and a substitute for
// the program prints the arguments that the shell passes to it.

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/base/text.h"
#include "tests/cmd/cli.h"
#include "tests/support/needs.h"
#include "tests/support/process.h"

using namespace roundel;
using namespace roundel::support;

namespace {

// A shell on a separate terminal.
class Terminal {
 public:
  Terminal(const std::vector<std::string>& args, const std::string& folder) {
    winsize size{.ws_row = 50, .ws_col = 500, .ws_xpixel = 0, .ws_ypixel = 0};
    child_ = forkpty(&fd_, nullptr, nullptr, &size);
    if (child_ == 0) {
      alarm(60);
      setenv("HOME", folder.c_str(), 1);
      setenv("XDG_CONFIG_HOME", folder.c_str(), 1);
      setenv("XDG_DATA_HOME", folder.c_str(), 1);
      setenv("TERM", "dumb", 1);
      if (chdir(folder.c_str()) != 0) _exit(125);
      std::vector<std::string> words = args;
      std::vector<char*> argv;
      for (std::string& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      execvp(argv[0], argv.data());
      _exit(126);
    }
  }
  ~Terminal() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    close(fd_);
  }
  Terminal(const Terminal&) = delete;

  // The output up to `end`, for at most 20 seconds.
  std::string ReadUntil(const std::string& end) {
    std::string text;
    pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
    char buffer[4096];
    while (text.find(end) == std::string::npos && poll(&ready, 1, 20000) > 0) {
      const ssize_t n = read(fd_, buffer, sizeof buffer);
      if (n <= 0) break;
      text.append(buffer, static_cast<size_t>(n));
    }
    return text;
  }
  void Type(const std::string& text) {
    REQUIRE(write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }

 private:
  int fd_ = -1;
  pid_t child_ = -1;
};

struct Shell {
  std::vector<std::string> args;
  std::string set_up;  // SCRIPT stands for the path of the script
};

// Both the echo of the line and its result hold the words; only the result holds them in brackets.
const Shell kBash = {{"bash", "--norc", "--noprofile", "-i"},
                     "PS1=; bind 'set bell-style none'; . SCRIPT; "
                     "roundel() { printf '<%s>' \"$@\"; echo 'do''ne'; }; echo 'rea''dy'\n"};
const Shell kZsh = {{"zsh", "-f", "-i"},
                    "PROMPT=; unsetopt beep; autoload -Uz compinit; compinit -u -D; . SCRIPT; "
                    "roundel() { printf '<%s>' \"$@\"; echo 'do''ne'; }; echo 'rea''dy'\n"};
const Shell kFish = {{"fish", "--no-config", "-i"},
                     "function fish_prompt; end; source SCRIPT; function roundel; printf '<%s>' "
                     "$argv; echo 'do''ne'; end; echo 'rea''dy'\n"};

std::string Completed(const Shell& shell, const std::string& script, const TempFolder& folder,
                      const std::string& line) {
  Terminal terminal(shell.args, folder.path());
  std::string set_up = shell.set_up;
  set_up.replace(set_up.find("SCRIPT"), 6, script);
  terminal.Type(set_up);
  terminal.ReadUntil("ready");
  terminal.Type(line + "\n");
  const std::string text = terminal.ReadUntil("done");
  const size_t start = text.find('<'), end = text.find(">done");
  if (start == std::string::npos || end == std::string::npos) return "no result: " + text;
  return text.substr(start, end + 1 - start);
}

void CheckShell(const std::string& name, const Shell& shell) {
  const TempFolder folder;
  const std::string script = folder / "script";
  std::ofstream(script) << Cli({"completion", name}).out;
  std::ofstream(folder / "my model.onnx") << "x";
  const auto completed = [&](const std::string& line) {
    return Completed(shell, script, folder, line);
  };
  CHECK(completed("roundel quant\t--rec\tint8_dyn\t") == "<quantize><--recipe><int8_dynamic>");
  CHECK(completed("roundel inspect my\t") == "<inspect><my model.onnx>");
  CHECK(completed("roundel eval a b --preset image\t-q") == "<eval><a><b><--preset><imagenet><-q>");
  CHECK(completed("roundel passes cali\t") == "<passes><calibrate>");
  CHECK(completed("roundel lint m --target open\t") == "<lint><m><--target><openvino>");
  CHECK(completed("roundel quantize --set weights.bi\t4") == "<quantize><--set><weights.bits=4>");
  CHECK(completed("roundel export m.onnx --to mat\t") == "<export><m.onnx><--to><matmulnbits>");
}

bool Has(const std::string& program) {
  return std::system(StrCat("command -v ", program, " >/dev/null").c_str()) == 0;
}

}  // namespace

TEST_CASE("completion works in bash") { CheckShell("bash", kBash); }

TEST_CASE("completion works in zsh") {
  if (!SkippedWithout("shells", Has("zsh"), "zsh is not installed")) CheckShell("zsh", kZsh);
}

TEST_CASE("completion works in fish") {
  if (!SkippedWithout("shells", Has("fish"), "fish is not installed")) CheckShell("fish", kFish);
}

TEST_CASE("bash completes the value behind an equals sign") {
  const TempFolder folder;
  std::ofstream(folder / "script") << Cli({"completion", "bash"}).out;
  CHECK(Completed(kBash, folder / "script", folder, "roundel quantize --recipe=int8_dyn\t") ==
        "<quantize><--recipe=int8_dynamic>");
}

TEST_CASE("an unknown shell is refused") {
  CHECK(Cli({"completion", "tcsh"}).code == 2);
  CHECK(Cli({"completion"}).code == 2);
}
