#pragma once
// The keys of the sections `weights` and `activations` that say which grid is meant: `grid` by
// name, or bits, signed, symmetric and narrow_range. What a later source says (the command line
// comes after the recipe) wins over all that an earlier one said about the grid; within one source
// the keys must agree.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/quant/grid.h"
#include "lib/recipe/recipe.h"

namespace roundel::cmd {

// The grid that a recipe means by a name; kUsage, naming `key`, if there is none.
Result<quant::Grid> GridByName(const std::string& name, const std::string& key);

// Folds the other keys into `grid` where that is given; kUsage if they contradict it.
Status FoldGridKeys(recipe::Recipe* recipe);

// Before the assignments ("weights.bits=4") of a later source are applied: takes back what they
// overrule.
Status OverruleGridKeys(const std::vector<std::string>& assignments, recipe::Recipe* recipe);

}  // namespace roundel::cmd
