#pragma once
// The computation that Conv, ConvInteger and QLinearConv share.

#include <functional>

#include "lib/ops/kernels/spatial.h"
#include "lib/ops/op.h"

namespace roundel::engine {

struct Convolution {
  int64_t batch, channels_in, channels_out, groups;
  Window window;
  Shape output_shape() const;  // [N, C_out, spatial...]
};

// Geometry from x [N, C_in, ...], w [C_out, C_in / groups, kernel...] and the node's attributes.
Result<Convolution> ResolveConvolution(const graph::Node& node, const Shape& x, const Shape& w);

// For every (n, c_out): sums of products over the window, in double, passed to store(n, c_out,
// sums), where `sums` has one entry per output position. Parallel over planes.
void Convolve(const Convolution& conv, const float* x, const float* w,
              const std::function<void(int64_t, int64_t, const double*)>& store);

}  // namespace roundel::engine
