#pragma once
// The axes of reductions.

#include <vector>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

struct Reduction {
  std::vector<bool> reduced;  // per axis
  bool keep_dims = true;
  bool nothing = false;  // noop_with_empty_axes: the input is the output

  Shape Output(const Shape& x) const {
    Shape shape;
    for (size_t i = 0; i < x.size(); ++i) {
      if (!reduced[i])
        shape.push_back(x[i]);
      else if (keep_dims)
        shape.push_back(1);
    }
    return shape;
  }
};

// Axes are an input since opset 13 (ReduceSum) and 18 (all others).
inline Result<Reduction> ResolveReduction(const OpContext& context) {
  const graph::Node& node = context.node();
  const Tensor& x = *context.input(0);
  const bool as_input = context.opset() >= (node.op_type == "ReduceSum" ? 13 : 18);
  std::vector<int64_t> raw = node.Ints("axes");
  if (as_input && context.input(1)) {
    ASSIGN_OR_RETURN(raw, IntegerInput(context, 1));
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> axes, NormalAxes(raw, x.rank()));
  Reduction reduction;
  reduction.keep_dims = node.Int("keepdims", 1) != 0;
  reduction.nothing = axes.empty() && as_input && node.Int("noop_with_empty_axes", 0) != 0;
  reduction.reduced.assign(x.shape().size(), axes.empty());
  for (int64_t axis : axes) reduction.reduced[axis] = true;
  return reduction;
}

}  // namespace roundel::engine
