#pragma once
// The exact optimum for few columns (depthwise kernels), by branch and bound: the codes of the grid
// are enumerated in the order of Schnorr and Euchner, depth first and nearest first, and every
// branch that is not better than the best solution so far is cut.

#include "lib/solver/solution.h"

namespace roundel::solver {

// The largest n that is searched: above it a search could take too long.
inline constexpr int64_t kClosestVectorColumns = 32;

struct ClosestVectorOptions {
  int64_t max_nodes = 1 << 20;  // per row; then the best solution so far is kept
};

// Replaces the codes by the best ones at the scales of `solution`. The search starts from its codes
// and is faster the better these are. Any granularity. Returns the number of rows with a proven
// optimum. Rows with more than kClosestVectorColumns columns are unchanged.
int64_t ClosestVector(Layer layer, const GridSpec& spec, Solution* solution,
                      const ClosestVectorOptions& options = {});

}  // namespace roundel::solver
