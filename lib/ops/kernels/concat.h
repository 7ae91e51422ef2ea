#pragma once
// Concat and what works like it.

#include <vector>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

// Puts `parts`, of which there is at least one, out as output 0, one after another along `axis`.
Status PutConcat(OpContext& context, const std::vector<Tensor>& parts, int64_t axis);

}  // namespace roundel::engine
