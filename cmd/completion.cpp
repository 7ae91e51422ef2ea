#include "cmd/completion.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

#include "cmd/command.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

struct Shell {
  const char* name;
  std::string (*script)(const std::vector<CommandFacts>&);
};
constexpr Shell kShells[] = {
    {"bash", BashCompletion}, {"zsh", ZshCompletion}, {"fish", FishCompletion}};

}  // namespace

CommandRun SetupCompletion(CLI::App& app) {
  const auto name = std::make_shared<std::string>();
  app.add_option("SHELL", *name, "Shell: bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  app.footer(
      "Example: roundel completion bash > ~/.local/share/bash-completion/completions/roundel");
  return [name](Console& console) -> Status {
    for (const Shell& shell : kShells) {
      if (*name != shell.name) continue;
      const std::string script = shell.script(AllCommandFacts());
      if (console.json)
        console.out << nlohmann::ordered_json{{"shell", *name}, {"script", script}}.dump(2) << "\n";
      else
        console.out << script;
    }
    return OkStatus();
  };
}

}  // namespace roundel::cmd
