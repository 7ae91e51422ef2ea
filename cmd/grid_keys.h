#pragma once
// The keys of the sections `weights` and `activations` that select the grid: `grid` by name,
// or bits, signed, symmetric and narrow_range. A later source (the command line comes after
// the recipe) overrides the grid keys of earlier ones; within one source the keys must
// agree.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/quant/grid.h"
#include "lib/recipe/recipe.h"

namespace roundel::cmd {

// The grid of a name. Errors: kUsage, with `key`, if there is none.
Result<quant::Grid> GridByName(const std::string& name, const std::string& key);

// Merges the other keys into `grid`, if given. Errors: kUsage if they contradict it.
Status FoldGridKeys(recipe::Recipe* recipe);

// Resets the keys that the assignments ("weights.bits=4") of a later source override. Requires:
// called before these are applied.
Status OverrideGridKeys(const std::vector<std::string>& assignments, recipe::Recipe* recipe);

}  // namespace roundel::cmd
