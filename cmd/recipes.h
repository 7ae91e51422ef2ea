#pragma once
// The recipe format of this program: its sections, the built-in recipes, and the resolution of
// relative paths in recipes.

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/recipe/recipe.h"
#include "lib/targets/profile.h"

namespace roundel::cmd {

inline constexpr char kDefaultRecipe[] = "int8_per_channel";
// The value that leaves a choice to the target profile.
inline constexpr char kAuto[] = "auto";

// Sections "", data, eval, activations, weights, export, check, gate; and every pass.
const recipe::RecipeSpec& FullRecipeSpec();

// configs/recipes/*.yaml as {name, first comment line}, sorted.
std::vector<std::pair<std::string, std::string>> BuiltInRecipes();

// A built-in recipe by name, or a file. Relative paths in a file are taken from the file's folder
// and come out relative to the working folder. kUsage with the nearest name if there is none.
Result<recipe::Recipe> LoadRecipe(const std::string& name_or_file);

// The recipe with paths relative to `folder` instead of the working folder; paths with no common
// part become absolute.
recipe::Recipe RelativeTo(const recipe::Recipe& recipe, const std::string& folder);
// The recipe with relative paths taken from `folder`: absolute ones if that is absolute.
recipe::Recipe TakenFrom(const recipe::Recipe& recipe, const std::string& folder);
// The recipe with `f` of every path in its place.
recipe::Recipe WithPaths(const recipe::Recipe& recipe,
                         const std::function<std::string(const std::string&)>& f);
// The recipe without paths, for hashing: moved files do not change the hash.
recipe::Recipe WithoutPaths(const recipe::Recipe& recipe);

// Errors: kUsage if the target does not support the format.
Status CheckFormat(const target::Profile& profile, const std::string& format);
// The format: the recipe's, or the target's. Errors: kUsage if the target does not support it.
Result<std::string> FormatOf(const recipe::Recipe& recipe, const target::Profile& profile);

// The profile's choice, overridden by settings of the recipe other than "auto". Errors: kUsage for
// grids that do not exist or that the target does not support.
Result<target::GridChoice> GridChoiceOf(const recipe::Recipe& recipe,
                                        const target::Profile& profile);

}  // namespace roundel::cmd
