#pragma GCC optimize("O3")

#include "lib/ops/kernels/convolve.h"

#include <algorithm>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/tap_rows.h"

namespace roundel::engine {
namespace {

// sums[o] += weight * x[o * stride + tap * dilation - pad] over all output positions that are
// inside.
void AccumulateTap(const Window& window, const std::vector<int64_t>& tap, float weight,
                   const float* x, double* sums) {
  ForEachTapRow(OfConvolution(window), tap,
                [&](int64_t out, int64_t in, int64_t n, int64_t stride) {
                  double* to = sums + out;
                  const float* from = x + in;
                  for (int64_t o = 0; o < n; ++o)
                    to[o] += static_cast<double>(weight) * static_cast<double>(from[o * stride]);
                });
}

}  // namespace

Shape Convolution::output_shape() const {
  Shape shape = {batch, channels_out};
  shape.insert(shape.end(), window.output.begin(), window.output.end());
  return shape;
}

Result<Convolution> ResolveConvolution(const graph::Node& node, const Shape& x, const Shape& w) {
  const int64_t groups = node.Int("group", 1);
  if (x.size() < 3 || w.size() != x.size() || groups < 1 || w[0] % groups != 0 ||
      x[1] % groups != 0 || x[1] / groups != w[1])
    return ModelError(StrCat("input ", ShapeString(x), ", weights ", ShapeString(w), " and group ",
                             groups, " do not fit"));
  const std::vector<int64_t> kernel(w.begin() + 2, w.end());
  ASSIGN_OR_RETURN(Window window,
                   ResolveWindow(node, Shape(x.begin() + 2, x.end()), kernel, false));
  return Convolution{x[0], x[1], w[0], groups, std::move(window)};
}

void Convolve(const Convolution& conv, const float* x, const float* w,
              const std::function<void(int64_t, int64_t, const double*)>& store) {
  const int64_t in_plane = NumElements(conv.window.input);
  const int64_t out_plane = NumElements(conv.window.output);
  const int64_t taps = NumElements(conv.window.kernel);
  const int64_t ins = conv.channels_in / conv.groups;  // per group
  const int64_t outs = conv.channels_out / conv.groups;
  ParallelFor(conv.batch * conv.channels_out, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(out_plane));
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t n = plane / conv.channels_out, c_out = plane % conv.channels_out;
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t c = 0; c < ins; ++c) {
        const int64_t c_in = c_out / outs * ins + c;
        const float* from = x + (n * conv.channels_in + c_in) * in_plane;
        const float* weights = w + (c_out * ins + c) * taps;
        for (Odometer tap(conv.window.kernel); !tap.done(); tap.Next())
          AccumulateTap(conv.window, tap.index(), *weights++, from, sums.data());
      }
      store(n, c_out, sums.data());
    }
  });
}

}  // namespace roundel::engine
