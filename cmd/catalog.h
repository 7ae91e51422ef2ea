#pragma once
// All commands with their flags as data, for pages and shells: what CLI11 knows, in the words of the
// help pages.

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace roundel::cmd {

struct FlagFacts {
  std::vector<std::string> names;  // "-o", "--output"; of a positional argument its name alone
  std::string value;               // "OUT.onnx"; "" of a flag without value
  std::string help, group;
  bool positional = false, required = false;
  // What the value can be, for completion.
  std::vector<std::string> words;
  bool file = false;  // or a folder
};

struct CommandFacts {
  std::string name, summary, footer;
  std::vector<FlagFacts> flags;  // in the order of the help page
  std::vector<std::string> groups;
};

CommandFacts FactsOf(const std::string& name, const CLI::App& app);
// In the order of `roundel --help`.
std::vector<CommandFacts> AllCommandFacts();

}  // namespace roundel::cmd
