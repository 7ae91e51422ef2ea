#pragma once
// The recipe format of this program: which sections there are, the built-in recipes, and how
// relative paths in a recipe are meant.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/recipe/recipe.h"
#include "lib/targets/profile.h"

namespace roundel::cmd {

inline constexpr char kDefaultRecipe[] = "int8_per_channel";
// How a recipe leaves a choice to the target profile.
inline constexpr char kAuto[] = "auto";

// Sections "", data, eval, activations, weights, export, check, gate; and every pass.
const recipe::RecipeSpec& FullRecipeSpec();

// configs/recipes/*.yaml as {name, what its first comment says}, sorted.
std::vector<std::pair<std::string, std::string>> BuiltInRecipes();

// A built-in recipe by name, or a file. Relative paths in a file are taken from the file's folder
// and come out relative to the working folder. kUsage with the nearest name if there is none.
Result<recipe::Recipe> LoadRecipe(const std::string& name_or_file);

// The recipe with its paths seen from `folder` instead of the working folder; those in a quite
// different place become absolute.
recipe::Recipe RelativeTo(const recipe::Recipe& recipe, const std::string& folder);
// The recipe without paths: what is hashed, so that moving files changes nothing.
recipe::Recipe WithoutPaths(const recipe::Recipe& recipe);

// kUsage if the target reads no such format.
Status CheckFormat(const target::Profile& profile, const std::string& format);
// What export writes: the recipe's format, or the target's; kUsage if the target cannot take it.
Result<std::string> FormatOf(const recipe::Recipe& recipe, const target::Profile& profile);

// The profile's choice with what the recipe's sections say instead of "auto"; kUsage for grids that
// do not exist or that the target does not take.
Result<target::GridChoice> GridChoiceOf(const recipe::Recipe& recipe,
                                        const target::Profile& profile);

}  // namespace roundel::cmd
