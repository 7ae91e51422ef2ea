// Recipes from hostile text: no crash, no hang, errors of one line, and whatever is accepted prints
// to a recipe that reads back the same.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "lib/recipe/recipe.h"

namespace {

using namespace roundel::recipe;

const RecipeSpec& Spec() {
  static const RecipeSpec spec = [] {
    RecipeSpec s;
    s.sections = {
        {"",
         "top",
         {{.name = "target", .default_value = std::string("ort-cpu"), .help = "runtime"},
          {.name = "seed", .default_value = int64_t{0}, .help = "seed", .min = 0},
          {.name = "exclude", .default_value = std::vector<std::string>{}, .help = "stay float"}}},
        {"data",
         "data",
         {{.name = "path", .default_value = std::string(), .help = "folder"},
          {.name = "mean", .default_value = std::vector<double>{}, .help = "mean"},
          {.name = "strict", .default_value = false, .help = "strict"}}},
    };
    s.passes = {
        {"bn_fold", "folds", {}},
        {"calibrate",
         "ranges",
         {{.name = "method",
           .default_value = std::string("min_max"),
           .help = "observer",
           .choices = {"min_max", "percentile"}},
          {.name = "percentile", .default_value = 99.99, .help = "mass", .min = 50, .max = 100}}}};
    return s;
  }();
  return spec;
}

void Require(bool condition) {
  if (!condition) std::abort();
}

bool Same(const Recipe& a, const Recipe& b) {
  if (a.steps.size() != b.steps.size()) return false;
  for (const auto& [name, params] : a.sections)
    if (params.values() != b.Section(name).values()) return false;
  for (size_t i = 0; i < a.steps.size(); ++i)
    if (a.steps[i].pass != b.steps[i].pass ||
        a.steps[i].params.values() != b.steps[i].params.values())
      return false;
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto recipe = ParseRecipe(text, "recipe.yaml", Spec());
  if (!recipe.ok()) {
    const std::string& message = recipe.status().message();
    Require(!message.empty() && message.size() < 1000);
    Require(message.find('\n') == std::string::npos);
    return 0;
  }
  for (const bool comments : {false, true}) {
    const auto again = ParseRecipe(PrintRecipe(Spec(), *recipe, comments), "printed", Spec());
    Require(again.ok() && Same(*recipe, *again));
  }
  const roundel::Status status = ApplyOverride(Spec(), text.substr(0, text.find('\n')), &*recipe);
  Require(status.ok() || !status.message().empty());
  return 0;
}
