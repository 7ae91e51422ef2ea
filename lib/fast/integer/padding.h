#pragma once
// Explicit padding: pixels outside the image are zeros, whose code is the zero point, but
// primitives pad with the code 0.

#include "lib/fast/fast_kernel.h"
#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {

bool HasPadding(const Window& window);

// The shape of x [N, C, (rows,) columns] with its padding; removes the padding from `window`.
Shape TakePadding(const Shape& x, Window* window);

// A copy of channels-last codes of shape `x`, padded with the code `zero`; nullptr if memory is
// exhausted. `window` is the one before TakePadding.
const uint8_t* PadCodes(FastContext& context, const uint8_t* from, const Shape& x,
                        const Window& window, const Shape& padded, int zero);

}  // namespace roundel::engine
