#include "lib/report/html.h"

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
  return html::Document(
      StrCat(model.empty() ? "model" : model, " – quantization report"), header,
      {{"gates", "Gates"}, {"passes", "Passes"}, {"float", "Float nodes"}, {"repeat", "Repeat"}},
      html::Summary(report) + html::Passes(report) + html::FloatNodes(report) +
          html::Repeat(report));
}

}  // namespace

Result<std::string> HtmlPage(const std::string& text, const std::string& source) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_object() && html::At(json, "facts").is_object()) return ReportPage(json);
  return UsageError(StrCat("'", Printable(source),
                           "' is no report: give the OUT.report.json of roundel quantize"));
}

}  // namespace roundel::report
