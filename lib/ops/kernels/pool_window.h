#pragma once
// The windows that pooling operators and their gradients share.

#include <algorithm>
#include <vector>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {

// The window of a pooling node over x [N, C, spatial...].
inline Result<Window> PoolWindow(const graph::Node& node, const Tensor& x) {
  ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x));
  return ResolveWindow(node, spatial, node.Ints("kernel_shape"), node.Int("ceil_mode", 0) != 0);
}

inline Shape OutputShape(const Tensor& x, const Window& window) {
  Shape shape = {x.dim(0), x.dim(1)};
  shape.insert(shape.end(), window.output.begin(), window.output.end());
  return shape;
}

// Iterates over the taps of one output position that are inside the input. Its buffers are reused
// for the next position, because allocating them would cost more than the taps.
class TapWalker {
 public:
  explicit TapWalker(const Window& window)
      : window_(window), taps_(window.input.size()), first_(taps_.size()), at_(taps_.size()) {}

  // Calls f(flat input index) for every tap of the window at output position `out`.
  template <typename F>
  void ForEachTap(const std::vector<int64_t>& out, const F& f) {
    const size_t rank = taps_.size(), last = rank - 1;
    for (size_t i = 0; i < rank; ++i) {
      first_[i] = out[i] * window_.strides[i] - window_.pads_begin[i];
      taps_[i] = ValidOutputs(window_.kernel[i], window_.input[i], window_.dilations[i], first_[i]);
      at_[i] = taps_[i].begin;
      if (taps_[i].begin == taps_[i].end) return;
    }
    while (true) {
      int64_t base = 0;
      for (size_t i = 0; i < last; ++i) base = (base + Position(i, at_[i])) * window_.input[i + 1];
      for (int64_t tap = taps_[last].begin; tap < taps_[last].end; ++tap)
        f(base + Position(last, tap));
      size_t axis = last;
      while (axis > 0 && ++at_[axis - 1] == taps_[axis - 1].end) {
        --axis;
        at_[axis] = taps_[axis].begin;
      }
      if (axis == 0) return;
    }
  }

 private:
  int64_t Position(size_t axis, int64_t tap) const {
    return first_[axis] + tap * window_.dilations[axis];
  }

  const Window& window_;
  std::vector<Interval> taps_;
  std::vector<int64_t> first_, at_;
};

// Calls body(walker, plane, output position, flat output index) for every output element, planes in
// parallel.
template <typename F>
void ForEachOutput(const Tensor& x, const Window& window, const F& body) {
  const int64_t out_plane = NumElements(window.output);
  ParallelFor(x.dim(0) * x.dim(1), RowGrain(out_plane), [&](int64_t begin, int64_t end) {
    TapWalker walker(window);
    for (int64_t plane = begin; plane < end; ++plane) {
      int64_t flat = plane * out_plane;
      for (Odometer out(window.output); !out.done(); out.Next())
        body(walker, plane, out.index(), flat++);
    }
  });
}

// The number of taps inside the input plus padding: the divisor with count_include_pad. With
// ceil_mode a window may extend beyond the padding; that part is not counted.
inline int64_t TapsWithPadding(const Window& window, const std::vector<int64_t>& out) {
  int64_t count = 1;
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t first = out[i] * window.strides[i];
    const int64_t padded = window.input[i] + window.pads_begin[i] + window.pads_end[i];
    const Interval taps = ValidOutputs(window.kernel[i], padded, window.dilations[i], first);
    count *= taps.end - taps.begin;
  }
  return count;
}

}  // namespace roundel::engine
