#pragma once
// Sub-commands: a name, a summary line, and a function that declares the flags and returns the
// function to run after parsing.

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace CLI {
class App;
}

namespace roundel::cmd {

// The output of a command: exactly one JSON object with --json, else text.
struct Console {
  std::ostream& out;
  bool json = false;
  bool quiet = false;  // print no success messages
};

using CommandRun = std::function<Status(Console&)>;

struct Command {
  const char* name;
  const char* summary;
  CommandRun (*setup)(CLI::App& app);
  bool runs_models = false;  // has --max-memory and --max-iterations
};

#define ROUNDEL_COMMAND(name, Name, runs_models, summary) CommandRun Setup##Name(CLI::App& app);
#include "cmd/commands.def"
#undef ROUNDEL_COMMAND

// The whole program except for signals: parses `args` (without the program's name), runs the
// command and returns the exit code. Errors are one line on `err`.
int RunMain(const std::vector<std::string>& args, std::ostream& out, std::ostream& err);

}  // namespace roundel::cmd
