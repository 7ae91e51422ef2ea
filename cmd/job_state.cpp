#include "cmd/job_state.h"

#include "cmd/recipes.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"

namespace roundel::cmd {

using recipe::Params;
using recipe::Recipe;

void JobState::Warn(const std::string& message) {
  LogWarning(message);
  report.warnings.push_back(message);
}

std::string RecipeHash(const Recipe& recipe) {
  Hasher hasher;
  hasher.Add(recipe::PrintRecipe(FullRecipeSpec(), WithoutPaths(recipe)));
  return hasher.Hex();
}

Params WithSeed(const Recipe& recipe, const std::string& section) {
  Params params = recipe.Section(section);
  if (params.Int("seed") != 0) return params;
  for (const recipe::SectionSpec& spec : FullRecipeSpec().sections)
    if (spec.name == section)
      INVARIANT(params.SetValue(spec.params, "seed", recipe.Section("").Int("seed")).ok(),
                "both seeds have the same range");
  return params;
}

bool OverriddenFlag(const Params& params, const char* name, bool automatic) {
  return params.String(name) == kAuto ? automatic : params.String(name) == "true";
}

}  // namespace roundel::cmd
