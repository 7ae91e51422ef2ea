#pragma once
// The part of a tensor that Slice selects, for the operator and its gradient.

#include "lib/ops/kernels/strided_copy.h"
#include "lib/ops/op.h"

namespace roundel::engine {

// The view into input 0 of a Slice node, and the shape of the result.
Result<View> ResolveSlice(const OpContext& context, Shape* shape);

}  // namespace roundel::engine
