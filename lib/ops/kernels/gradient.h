#pragma once
// Helpers of the kernels of gradients. These operators of the domain "roundel" take the gradient of
// the loss with respect to the forward node's result first, then inputs and results of that node, and
// carry its attributes.

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

// kModel unless input `i`, a gradient, has the shape of the forward node's result.
inline Status RequireShape(const OpContext& context, size_t i, const Shape& shape) {
  if (context.input(i)->shape() == shape) return OkStatus();
  return ModelError(StrCat("input ", i, " has shape ", ShapeString(context.input(i)->shape()),
                           ", the forward result has ", ShapeString(shape)));
}

}  // namespace roundel::engine
