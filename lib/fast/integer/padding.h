#pragma once
// Padding by hand: outside the image lie zeros, whose code is the zero point; primitives pad with
// the code 0.

#include "lib/fast/fast_kernel.h"
#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {

bool HasPadding(const Window& window);

// The shape of x [N, C, (rows,) columns] with its padding; `window` becomes one without.
Shape TakePadding(const Shape& x, Window* window);

// A copy of channels-last codes of shape `x` with code `zero` around it; nullptr without memory.
// `window` as it was before TakePadding.
const uint8_t* PadCodes(FastContext& context, const uint8_t* from, const Shape& x,
                        const Window& window, const Shape& padded, int zero);

}  // namespace roundel::engine
