#pragma once
// Changes of the codes of one row that lower its error at fixed scales.

#include "lib/solver/descent.h"
#include "lib/solver/layer_state.h"

namespace roundel::solver {

// Facts of H that pair moves need.
struct Partners {
  std::vector<float> largest;   // [n] largest |H_ij|, i != j, of each column
  int64_t per_column = 0;       // 0: all pairs
  std::vector<int32_t> nearby;  // [n, per_column] most correlated columns
};
Partners FindPartners(const Problem& problem);

// Sets one code at a time to its best level; true if any changed.
bool MoveSingles(RowState& row, int sweeps);
// Changes two codes at a time by one step each, with MoveSingles in between; true if any changed.
bool MovePairs(RowState& row, const Partners& partners, int sweeps);

}  // namespace roundel::solver
