#pragma once
// The polishing of descent.h for layers in low rank (low_rank.h).

#include "lib/solver/solution.h"

namespace roundel::solver {

// Single codes, until nothing changes or `sweeps` are over; with `refit` the best scales of
// kChannel for these codes, and codes again. No row becomes worse.
void DescendLowRank(Layer layer, const GridSpec& spec, int sweeps, bool refit, Solution* solution);

}  // namespace roundel::solver
