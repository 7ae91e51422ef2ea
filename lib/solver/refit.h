#pragma once
// The best scales (and zero points) for the present levels of rows.

#include "lib/solver/layer_state.h"

namespace roundel::solver {

// H 1 and 1^T H 1 of every group, for asymmetric grids; empty for others.
struct OffsetTerms {
  std::vector<std::vector<float>> h1;  // [groups][n]
  std::vector<double> ones;            // [groups]
};
OffsetTerms MakeOffsetTerms(Layer layer, const GridSpec& spec);

// Refits one row, for kChannel and kBlock.
void RefitRow(const GridSpec& spec, const OffsetTerms& terms, int64_t rows_per_group, int64_t row,
              LayerState* state);
// Refits all rows, for kTensor.
void RefitTensor(const GridSpec& spec, const OffsetTerms& terms, int64_t rows_per_group,
                 LayerState* state);

}  // namespace roundel::solver
