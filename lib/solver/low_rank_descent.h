#pragma once
// The polishing of descent.h for low-rank layers (low_rank.h).

#include "lib/solver/solution.h"

namespace roundel::solver {

// Descends over single codes until nothing changes or for `sweeps` sweeps. With `refit`, then
// computes the best kChannel scales for these codes, and descends again. No row gets worse.
void DescendLowRank(Layer layer, const GridSpec& spec, int sweeps, bool refit, Solution* solution);

}  // namespace roundel::solver
