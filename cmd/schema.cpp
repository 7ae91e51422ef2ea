#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "cmd/command.h"
#include "lib/base/text.h"
#include "lib/report/report.h"

namespace roundel::cmd {

namespace schemas {
std::span<const std::pair<std::string_view, std::string_view>> EmbeddedFiles();
}

namespace {

using Json = nlohmann::ordered_json;

// "report-1" -> "report".
std::string DocumentOf(std::string_view file) {
  return std::string(file.substr(0, file.rfind('-')));
}

Status List(Console& console) {
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows = {{"name", "schema", "document"}};
  for (const auto& [file, text] : schemas::EmbeddedFiles()) {
    const Json schema = Json::parse(text);
    const std::string what = schema["description"];
    rows.push_back({DocumentOf(file), schema["title"], what.substr(0, what.find(". "))});
    list.push_back({{"name", rows.back()[0]}, {"schema", rows.back()[1]}, {"document", what}});
  }
  if (console.json)
    console.out << Json{{"schemas", std::move(list)}}.dump(2) << "\n";
  else
    console.out << report::TextTable(rows);
  return OkStatus();
}

Status RunSchema(const std::string& name, Console& console) {
  if (name.empty()) return List(console);
  std::vector<std::string> names;
  for (const auto& [file, text] : schemas::EmbeddedFiles()) {
    names.push_back(DocumentOf(file));
    if (name != names.back() && name != file) continue;
    console.out << text;
    return OkStatus();
  }
  const std::string nearest = NearestName(name, names);
  return UsageError(StrCat("no schema '", Printable(name), "'",
                           nearest.empty() ? StrCat("; there are ", Join(names))
                                           : StrCat("; did you mean '", nearest, "'?")));
}

}  // namespace

CommandRun SetupSchema(CLI::App& app) {
  const auto name = std::make_shared<std::string>();
  app.add_option("NAME", *name, "Document whose schema to print; without it they are listed");
  app.footer("Example: roundel schema report > report.schema.json");
  return [name](Console& console) { return RunSchema(*name, console); };
}

}  // namespace roundel::cmd
