#include <set>
#include <string>

#include "lib/base/text.h"
#include "lib/report/html_sections.h"

namespace roundel::report::html {
namespace {

std::string Fact(std::string_view label, const std::string& value) {
  return value.empty() ? "" : StrCat("<dt>", label, "</dt><dd>", Escape(value, 1000), "</dd>\n");
}

// "mobilenetv2.onnx, 14.2 MB, hash 1a3f".
std::string Hashed(const Json& facts, const char* name, const char* hash) {
  const std::string what = Text(At(facts, name)), digest = Text(At(facts, hash));
  return what.empty() || digest.empty() ? what : StrCat(what, ", hash ", digest);
}

// What the rest of the page shows, or this section does by name.
bool Shown(const std::string& fact) {
  static const std::set<std::string> kShown = {
      "tool",        "model",       "model_hash", "target",          "recipe",
      "recipe_hash", "seed",        "data",       "data_hash",       "isa",
      "output",      "model_bytes", "samples",    "samples_skipped", "eval_data_hash"};
  return kShown.contains(fact) || fact.find("_sqnr_db ") != std::string::npos ||
         fact.find("_agreement_percent ") != std::string::npos;
}

}  // namespace

std::string Repeat(const Json& report) {
  const Json& facts = At(report, "facts");
  std::string list =
      Fact("Tool", Text(At(facts, "tool"))) + Fact("Instruction set", Text(At(facts, "isa"))) +
      Fact("Model", Hashed(facts, "model", "model_hash")) +
      Fact("Recipe", Hashed(facts, "recipe", "recipe_hash")) +
      Fact("Target", Text(At(facts, "target"))) + Fact("Data", Hashed(facts, "data", "data_hash")) +
      Fact("Evaluation data, hash", Text(At(facts, "eval_data_hash"))) +
      Fact("Seed", Text(At(facts, "seed")));
  if (list.empty()) return "";
  std::string contents = "<dl class=\"facts\">\n" + list + "</dl>\n";
  std::string output = Text(At(facts, "output"));
  if (!output.empty()) {
    if (output.ends_with(".onnx")) output.resize(output.size() - 5);
    contents += StrCat("<pre>roundel run ", Escape(output), ".recipe.yaml</pre>\n");
  }
  if (const std::string recipe = Text(At(report, "recipe")); !recipe.empty())
    contents += Folded("The recipe with all its settings",
                       "<pre>" + EscapeLines(recipe.substr(0, 40000)) + "</pre>\n");
  std::string rest;
  size_t count = 0;
  constexpr size_t kMost = 60;
  for (const auto& [name, value] : Fields(facts).items())
    if (!Shown(name) && ++count <= kMost) rest += Fact(Escape(name, 60), Text(value));
  if (!rest.empty())
    contents += Folded("All other facts", "<dl class=\"facts\">\n" + rest + "</dl>\n");
  return Section("repeat", "How to get the same again",
                 "The same model, data, recipe, seed and kind of machine give the same bytes.",
                 contents);
}

}  // namespace roundel::report::html
