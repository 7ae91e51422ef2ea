#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cmd/command.h"
#include "cmd/recipes.h"
#include "lib/report/report.h"
#include "lib/targets/profile.h"

namespace roundel::cmd {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

void PrintEntries(const char* what, const Entries& entries, Console& console) {
  if (console.json) {
    nlohmann::ordered_json json;
    json[what] = nlohmann::ordered_json::array();
    for (const auto& [name, summary] : entries)
      json[what].push_back({{"name", name}, {"summary", summary}});
    console.out << json.dump(2) << "\n";
    return;
  }
  std::vector<std::vector<std::string>> rows = {{"name", "purpose"}};
  for (const auto& [name, summary] : entries) rows.push_back({name, summary});
  console.out << report::TextTable(rows);
}

}  // namespace

CommandRun SetupTargets(CLI::App& app) {
  app.footer("A YAML file works too: --target my_target.yaml");
  return [](Console& console) -> Status {
    Entries entries;
    for (const std::string& name : target::ProfileNames()) {
      ASSIGN_OR_RETURN(const target::Profile profile, target::LoadProfile(name));
      entries.emplace_back(name, profile.summary);
    }
    PrintEntries("targets", entries, console);
    return OkStatus();
  };
}

CommandRun SetupRecipes(CLI::App& app) {
  app.footer(
      "'roundel quantize MODEL --recipe NAME --print-recipe' prints one, every key explained.");
  return [](Console& console) -> Status {
    PrintEntries("recipes", BuiltInRecipes(), console);
    return OkStatus();
  };
}

}  // namespace roundel::cmd
