#pragma once
// Helpers of the kernels of gradients. These operators of the domain "roundel" take the gradients of
// the loss with respect to the forward node's results first, then inputs and results of that node.
// They carry its attributes, and as `forward_opset` the version of its operator set.

#include <string>
#include <vector>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/inner_op.h"

namespace roundel::engine {

inline int64_t ForwardOpset(const graph::Node& node) {
  return node.Int("forward_opset", kInnerOpset);
}

// The operator whose gradient the node computes: "Slice" for SliceGrad.
inline std::string ForwardType(const graph::Node& node) {
  return node.op_type.substr(0, node.op_type.size() - std::string("Grad").size());
}

// kModel unless input `i`, a gradient, has the shape of the forward node's result.
inline Status RequireShape(const OpContext& context, size_t i, const Shape& shape) {
  if (context.input(i)->shape() == shape) return OkStatus();
  return ModelError(StrCat("input ", i, " has shape ", ShapeString(context.input(i)->shape()),
                           ", the forward result has ", ShapeString(shape)));
}

// Zeros in double, one for each element of a tensor of that shape; kModel if it is too large.
inline Result<std::vector<double>> NewSums(const Shape& shape) {
  RETURN_IF_ERROR(CheckSize(DType::kDouble, shape));
  return std::vector<double>(static_cast<size_t>(NumElements(shape)), 0.0);
}

// Output `i` from sums in double, if it is wanted.
inline Status StoreSums(OpContext& context, size_t i, const Shape& shape,
                        const std::vector<double>& sums) {
  if (!context.wants(i)) return OkStatus();
  ASSIGN_OR_RETURN(Tensor * to, NewOutput(context, i, DType::kFloat, shape));
  float* data = to->mutable_data<float>();
  for (size_t k = 0; k < sums.size(); ++k) data[k] = static_cast<float>(sums[k]);
  return OkStatus();
}

}  // namespace roundel::engine
