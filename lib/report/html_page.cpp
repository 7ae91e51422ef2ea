#include "lib/report/html.h"

#include <algorithm>
#include <utility>

#include "lib/base/text.h"
#include "lib/report/html_sections.h"

namespace roundel::report {
namespace {

using html::Json;

std::string ReportPage(const Json& report) {
  const Json& facts = html::At(report, "facts");
  const std::string model = html::Escape(html::Text(html::At(facts, "model")), 120);
  std::string recipe = html::Text(html::At(facts, "recipe"));
  if (recipe.ends_with(".yaml")) recipe.resize(recipe.size() - 5);
  const std::string target = html::Text(html::At(facts, "target"));
  std::vector<std::string> lead;
  if (!recipe.empty()) lead.push_back("recipe " + html::Escape(recipe, 80));
  if (!target.empty()) lead.push_back("for " + html::Escape(target, 80));
  if (const std::string tool = html::Text(html::At(facts, "tool")); !tool.empty())
    lead.push_back("by " + html::Escape(tool, 80));
  const std::string header = StrCat("<p class=\"kicker\">Quantization report</p>\n<h1>",
                                    model.empty() ? "Unnamed model" : model,
                                    "</h1>\n<p class=\"lead\">", Join(lead, " · "), "</p>\n");
  return html::Document(StrCat(model.empty() ? "model" : model, " – quantization report"), header,
                        {{"gates", "Gates"},
                         {"network", "Accuracy"},
                         {"worst", "Worst layers"},
                         {"layers", "Layers"},
                         {"channels", "Channels"},
                         {"float", "Float nodes"},
                         {"passes", "Passes"},
                         {"repeat", "Repeat"}},
                        html::Summary(report) + html::Network(report) + html::WorstLayers(report) +
                            html::Layers(report) + html::ChannelPicture(report) +
                            html::FloatNodes(report) + html::Passes(report) + html::Repeat(report));
}

// The status lines of a text; those that are cut off, as by a full disk, are left out.
std::vector<Json> StatusLines(const std::string& text) {
  std::vector<Json> lines;
  for (const std::string& line : Split(text, '\n')) {
    Json json = Json::parse(line, nullptr, false);
    if (html::Text(html::At(json, "schema")).starts_with("roundel.status/"))
      lines.push_back(std::move(json));
  }
  return lines;
}

}  // namespace

Result<std::string> HtmlPage(const std::string& text, const std::string& source,
                             const std::string& folder) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_object() && html::At(json, "facts").is_object()) return ReportPage(json);
  if (const std::vector<Json> lines = StatusLines(text); !lines.empty())
    return html::BatchPage(lines, folder);
  return UsageError(StrCat("'", Printable(source),
                           "' is no report: give the OUT.report.json of roundel quantize, or the "
                           "status.jsonl of a batch"));
}

std::vector<std::string> ReportsOf(const std::string& text) {
  std::vector<std::string> reports;
  for (const Json& line : StatusLines(text)) {
    const std::string report = html::Text(html::At(line, "report"));
    if (!PageOfReport(report).empty() &&
        std::find(reports.begin(), reports.end(), report) == reports.end())
      reports.push_back(report);
  }
  return reports;
}

std::string PageOfReport(const std::string& report) {
  if (!report.ends_with(".json") || report.starts_with("/")) return "";
  for (const std::string& part : Split(report, '/'))
    if (part == "..") return "";
  return report.substr(0, report.size() - 5) + ".html";
}

}  // namespace roundel::report
