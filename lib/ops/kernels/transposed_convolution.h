#pragma once
// The geometry that ConvTranspose and its gradients share.

#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {

// The window's input is that of ConvTranspose, which the kernel spreads over the output.
struct TransposedConvolution {
  int64_t batch, channels_in, channels_out, groups;
  Window window;
  Shape output_shape() const;  // [N, C_out, spatial...]
};

// Geometry from x [N, C_in, ...], w [C_in, C_out / groups, kernel...] and the node's attributes.
Result<TransposedConvolution> ResolveTransposedConvolution(const graph::Node& node, const Shape& x,
                                                           const Shape& w);

}  // namespace roundel::engine
