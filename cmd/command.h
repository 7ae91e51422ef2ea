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

CommandRun SetupQuantize(CLI::App& app);
CommandRun SetupRun(CLI::App& app);
CommandRun SetupInspect(CLI::App& app);
CommandRun SetupEval(CLI::App& app);
CommandRun SetupCompare(CLI::App& app);
CommandRun SetupDump(CLI::App& app);
CommandRun SetupBench(CLI::App& app);
CommandRun SetupExport(CLI::App& app);
CommandRun SetupLint(CLI::App& app);
CommandRun SetupReport(CLI::App& app);
CommandRun SetupPasses(CLI::App& app);
CommandRun SetupTargets(CLI::App& app);
CommandRun SetupRecipes(CLI::App& app);
CommandRun SetupCompletion(CLI::App& app);
CommandRun SetupMan(CLI::App& app);
CommandRun SetupSchema(CLI::App& app);

// The whole program except for signals: parses `args` (without the program's name), runs the
// command and returns the exit code. Errors are one line on `err`.
int RunMain(const std::vector<std::string>& args, std::ostream& out, std::ostream& err);

}  // namespace roundel::cmd
