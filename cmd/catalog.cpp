#include "cmd/catalog.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>

#include "cmd/options.h"
#include "cmd/recipes.h"
#include "lib/base/text.h"
#include "lib/data/dataset.h"
#include "lib/targets/profile.h"
#include "passes/pass.h"

namespace roundel::cmd {
namespace {

using Words = std::vector<std::string>;

// "TEXT:{auto,perplexity}", as CLI11 writes the choices of a checked option.
Words CheckedChoices(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t open = type.find('{'), close = type.rfind('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return Split(type.substr(open + 1, close - open - 1), ',');
}

Words NamesOf(const std::vector<std::pair<std::string, std::string>>& entries) {
  Words names;
  for (const auto& [name, unused] : entries) names.push_back(name);
  return names;
}

Words PassNames() {
  Words names;
  for (const passes::PassInfo& pass : passes::AllPasses()) names.push_back(pass.name);
  return names;
}

Words CalibrationMethods() {
  const recipe::ParamSpec* spec =
      recipe::FindParam(passes::FindPass("calibrate")->params, "method");
  return spec ? spec->choices : Words{};
}

// "weights.bits=", "calibrate.method=".
Words RecipeKeys() {
  Words keys;
  const recipe::RecipeSpec& spec = FullRecipeSpec();
  for (const auto* tables : {&spec.sections, &spec.passes})
    for (const recipe::SectionSpec& table : *tables)
      for (const recipe::ParamSpec& param : table.params)
        keys.push_back(StrCat(table.name, table.name.empty() ? "" : ".", param.name, "="));
  std::sort(keys.begin(), keys.end());
  return keys;
}

Words DataChoices(const std::string& flag) {
  for (const recipe::ParamSpec& spec : data::DataSpecs())
    if (FlagName(spec.name) == flag) return spec.choices;
  return {};
}

// Whether a value of this name in a usage line is the path of something: "OUT.onnx", "NAME|FILE".
bool NamesPath(const std::string& value) {
  const size_t dot = value.rfind('.');
  if (dot != std::string::npos && dot + 1 < value.size() &&
      std::islower(static_cast<unsigned char>(value[dot + 1])) != 0)
    return value.find('=') == std::string::npos;
  const Words paths = {"MODEL", "FILE", "DIR", "PATH", "RECIPE"};
  const Words words = Split(value, '|');
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    return std::find(paths.begin(), paths.end(), word) != paths.end();
  });
}

void AddValues(const std::string& command, const CLI::Option& option, FlagFacts* facts) {
  const auto has = [&](const char* name) {
    return std::find(facts->names.begin(), facts->names.end(), name) != facts->names.end();
  };
  facts->words = CheckedChoices(option);
  if (facts->words.empty()) {
    if (has("--recipe")) facts->words = NamesOf(BuiltInRecipes());
    if (has("--target")) facts->words = target::ProfileNames();
    if (has("--method")) facts->words = CalibrationMethods();
    if (has("--set")) facts->words = RecipeKeys();
    if (facts->group == "Data" && !facts->names.empty())
      facts->words = DataChoices(facts->names.back());
    if (command == "passes" && facts->positional) facts->words = PassNames();
  }
  const std::string& value = facts->positional ? facts->names[0] : facts->value;
  const bool listed = has("--names") || has("--labels");  // text files, in the table of data
  facts->file = listed || (!value.empty() && NamesPath(value));
}

}  // namespace

CommandFacts FactsOf(const std::string& name, const CLI::App& app) {
  CommandFacts command{.name = name, .summary = app.get_description(), .footer = app.get_footer()};
  command.groups = app.get_groups();
  for (const CLI::Option* option : app.get_options()) {
    FlagFacts facts{.help = option->get_description(),
                    .group = option->get_group(),
                    .positional = !option->nonpositional(),
                    .required = option->get_required()};
    if (facts.positional) {
      facts.names = {option->get_name(true)};
    } else {
      for (const std::string& flag : option->get_snames()) facts.names.push_back("-" + flag);
      for (const std::string& flag : option->get_lnames()) facts.names.push_back("--" + flag);
      facts.value = option->get_option_text();
    }
    AddValues(name, *option, &facts);
    command.flags.push_back(std::move(facts));
  }
  return command;
}

}  // namespace roundel::cmd
