#pragma once
// The --help page of a command.

#include <string>

namespace CLI {
class App;
}

namespace roundel::cmd {

// Description, usage line, positionals, flags by group, footer; wrapped at 100 columns.
std::string CommandHelp(const CLI::App& app);

}  // namespace roundel::cmd
