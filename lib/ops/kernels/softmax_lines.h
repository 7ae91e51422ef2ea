#pragma once
// The lines of a tensor that Softmax and its relatives normalize.

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

// Lines of `length` elements with distance `step`; line (o, i) starts at o * length * step + i.
struct Lines {
  int64_t outer, length, step;
};

// Of input 0, for a node of that version of the operator set.
inline Result<Lines> LinesOf(const OpContext& context, int64_t opset) {
  RETURN_IF_ERROR(RequireRank(context, 0, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  const bool one_axis = opset >= 13;
  ASSIGN_OR_RETURN(
      const int64_t axis,
      NormalAxis(context.node().Int("axis", one_axis || x.rank() == 1 ? -1 : 1), x.rank()));
  const int64_t outer = Product(x.shape(), 0, axis);
  if (!one_axis) return Lines{outer, Product(x.shape(), axis, x.rank()), 1};
  return Lines{outer, x.dim(axis), Product(x.shape(), axis + 1, x.rank())};
}

}  // namespace roundel::engine
