#pragma once
// The exact optimum for few columns (depthwise kernels): all codes are enumerated in the order of
// Schnorr and Euchner, depth first and nearest first, within the box of the grid, and every branch
// that is no better than the best so far is cut.

#include "lib/solver/solution.h"

namespace roundel::solver {

// n above which a search could take too long to be asked for.
inline constexpr int64_t kClosestVectorColumns = 32;

struct ClosestVectorOptions {
  int64_t max_nodes = 1 << 20;  // per row; then the best so far stays
};

// Replaces codes by the best ones at the scales of `solution`, which is where the search starts:
// the better, the faster. Any granularity. Returns the number of rows whose optimum is proven; rows
// with more than kClosestVectorColumns columns are left as they are.
int64_t ClosestVector(Layer layer, const GridSpec& spec, Solution* solution,
                      const ClosestVectorOptions& options = {});

}  // namespace roundel::solver
