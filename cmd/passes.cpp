#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

#include "cmd/command.h"
#include "lib/base/text.h"
#include "lib/report/report.h"
#include "passes/pass.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;
using passes::PassInfo;
using recipe::ParamSpec;

struct Options {
  std::string name;
  bool markdown = false;
};

std::string Properties(const PassInfo& pass) {
  std::vector<std::string> properties;
  if (pass.float_equivalent) properties.push_back("keeps the float function");
  if (pass.needs_grids) properties.push_back("comes after calibrate");
  properties.push_back(pass.needs_data ? "needs data" : "needs no data");
  return Join(properties);
}

std::string RangeText(const ParamSpec& spec) {
  const std::string range = recipe::ParamRangeText(spec);
  std::string text = range.empty() ? recipe::ParamTypeText(spec) : range;
  if (!spec.unit.empty()) text += StrCat(" (", spec.unit, ")");
  return text;
}

Json ToJson(const PassInfo& pass) {
  Json params = Json::array();
  for (const ParamSpec& spec : pass.params) {
    Json param = {{"name", spec.name}, {"type", recipe::ParamTypeText(spec)}};
    param["default"] =
        std::visit([](const auto& value) { return Json(value); }, spec.default_value);
    param["range"] = recipe::ParamRangeText(spec);
    param["unit"] = spec.unit;
    param["help"] = spec.help;
    params.push_back(std::move(param));
  }
  return {{"name", pass.name},
          {"summary", pass.summary},
          {"needs_data", pass.needs_data},
          {"needs_grids", pass.needs_grids},
          {"float_equivalent", pass.float_equivalent},
          {"params", std::move(params)}};
}

void PrintPass(const PassInfo& pass, std::ostream& out) {
  out << pass.name << ": " << pass.summary << " (" << Properties(pass) << ")\n";
  if (pass.params.empty()) {
    out << "\nIt has no parameters.\n";
    return;
  }
  std::vector<std::vector<std::string>> rows = {{"parameter", "default", "range", "meaning"}};
  for (const ParamSpec& spec : pass.params)
    rows.push_back(
        {spec.name, recipe::ParamValueText(spec.default_value), RangeText(spec), spec.help});
  out << "\n" << report::TextTable(rows);
  out << "\nIn a recipe:\n\npasses:\n  - " << pass.name << ": {" << pass.params[0].name << ": "
      << recipe::ParamValueText(pass.params[0].default_value) << "}\n";
}

// A vertical bar would end a table cell.
std::string Cell(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

void PrintMarkdown(const std::vector<const PassInfo*>& list, std::ostream& out) {
  out << "# Passes\n\n"
         "Written by `roundel passes --markdown`; do not edit. One pass is one `.cpp` in this "
         "folder,\n"
         "which opens with what it does, its formulas and their source.\n";
  for (const PassInfo* pass : list) {
    out << "\n## " << pass->name << "\n\n" << pass->summary << " (" << Properties(*pass) << ").\n";
    if (pass->params.empty()) continue;
    out << "\n| parameter | default | range | meaning |\n|---|---|---|---|\n";
    for (const ParamSpec& spec : pass->params)
      out << "| `" << spec.name << "` | `" << Cell(recipe::ParamValueText(spec.default_value))
          << "` | " << Cell(RangeText(spec)) << " | " << Cell(spec.help) << " |\n";
  }
}

Status RunPasses(const Options& options, Console& console) {
  std::vector<const PassInfo*> list;
  std::vector<std::string> names;
  for (const PassInfo& pass : passes::AllPasses()) {
    names.push_back(pass.name);
    if (options.name.empty() || options.name == pass.name) list.push_back(&pass);
  }
  if (list.empty()) {
    const std::string nearest = NearestName(options.name, names);
    return UsageError(StrCat(
        "no pass '", options.name, "'",
        nearest.empty() ? "; there are " + Join(names) : "; did you mean '" + nearest + "'?"));
  }
  if (console.json) {
    Json json = {{"passes", Json::array()}};
    for (const PassInfo* pass : list) json["passes"].push_back(ToJson(*pass));
    console.out << json.dump(2) << "\n";
  } else if (options.markdown) {
    PrintMarkdown(list, console.out);
  } else if (!options.name.empty()) {
    PrintPass(*list[0], console.out);
  } else {
    std::vector<std::vector<std::string>> rows = {{"pass", "what it does"}};
    for (const PassInfo* pass : list) rows.push_back({pass->name, pass->summary});
    console.out << report::TextTable(rows)
                << "\n'roundel passes NAME' shows a pass's parameters.\n";
  }
  return OkStatus();
}

}  // namespace

CommandRun SetupPasses(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("NAME", options->name, "Pass to describe");
  app.add_flag("--markdown", options->markdown,
               "Print as Markdown: the contents of passes/README.md");
  return [options](Console& console) { return RunPasses(*options, console); };
}

}  // namespace roundel::cmd
