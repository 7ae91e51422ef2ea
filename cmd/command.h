#pragma once
// What a sub-command is: a name, a line about it, and a function that declares its flags and
// returns what to do once they are parsed.

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace CLI {
class App;
}

namespace roundel::cmd {

// Where results go. With --json a command prints exactly one JSON object, else text for people.
struct Console {
  std::ostream& out;
  bool json = false;
  bool quiet = false;  // what went well need not be told
};

using CommandRun = std::function<Status(Console&)>;

struct Command {
  const char* name;
  const char* summary;
  CommandRun (*setup)(CLI::App& app);
  bool runs_models = false;  // has --max-memory and --max-iterations
};

CommandRun SetupQuantize(CLI::App& app);
CommandRun SetupRun(CLI::App& app);
CommandRun SetupInspect(CLI::App& app);
CommandRun SetupEval(CLI::App& app);
CommandRun SetupCompare(CLI::App& app);
CommandRun SetupDump(CLI::App& app);
CommandRun SetupBench(CLI::App& app);
CommandRun SetupExport(CLI::App& app);
CommandRun SetupLint(CLI::App& app);
CommandRun SetupPasses(CLI::App& app);
CommandRun SetupTargets(CLI::App& app);
CommandRun SetupRecipes(CLI::App& app);

// The whole program but for signals: parses `args` (without the program's name), runs the command
// and returns the exit code. Errors are one line on `err`.
int RunMain(const std::vector<std::string>& args, std::ostream& out, std::ostream& err);

}  // namespace roundel::cmd
