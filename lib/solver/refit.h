#pragma once
// The best scales (and zero points) for the levels of rows as they are.

#include "lib/solver/layer_state.h"

namespace roundel::solver {

// H 1 and 1^T H 1 of every group: asymmetric grids need them. Empty for others.
struct OffsetTerms {
  std::vector<std::vector<float>> h1;  // [groups][n]
  std::vector<double> ones;            // [groups]
};
OffsetTerms MakeOffsetTerms(Layer layer, const GridSpec& spec);

// kChannel and kBlock: one row.
void RefitRow(const GridSpec& spec, const OffsetTerms& terms, int64_t rows_per_group, int64_t row,
              LayerState* state);
// kTensor: all rows.
void RefitTensor(const GridSpec& spec, const OffsetTerms& terms, int64_t rows_per_group,
                 LayerState* state);

}  // namespace roundel::solver
