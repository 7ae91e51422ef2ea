#pragma once
// Concatenation, for Concat and other operators.

#include <vector>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

// Sets output 0 to the concatenation of `parts` along `axis`. Requires at least one part.
Status PutConcat(OpContext& context, const std::vector<Tensor>& parts, int64_t axis);

}  // namespace roundel::engine
