#pragma once
// The rows of elements that one tap of a kernel connects, for convolutions, transposed convolutions
// and the gradients of both.

#include <cstdint>
#include <vector>

#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {

// A window as the relation between positions i of the coarse side and i * stride + tap * dilation -
// pad of the fine side. The coarse side is the output of a convolution, or the input of a transposed
// one.
struct TapRelation {
  const Shape &coarse, &fine;
  const std::vector<int64_t>&strides, &dilations, &pads;
};
inline TapRelation OfConvolution(const Window& window) {
  return {window.output, window.input, window.strides, window.dilations, window.pads_begin};
}
inline TapRelation OfTransposed(const Window& window) {
  return {window.input, window.output, window.strides, window.dilations, window.pads_begin};
}

// Calls f(coarse, fine, n, stride) for rows of n pairs of connected elements: the flat index of the
// first one on each side, where the coarse one advances by 1 and the fine one by `stride`.
template <typename F>
void ForEachTapRow(const TapRelation& relation, const std::vector<int64_t>& tap, const F& f) {
  const size_t rank = relation.coarse.size(), last = rank - 1;
  std::vector<int64_t> offsets(rank);
  std::vector<Interval> valid(rank);  // coarse positions whose fine position exists
  Shape rows;                         // extents of the outer axes
  for (size_t i = 0; i < rank; ++i) {
    offsets[i] = tap[i] * relation.dilations[i] - relation.pads[i];
    valid[i] = ValidOutputs(relation.coarse[i], relation.fine[i], relation.strides[i], offsets[i]);
    if (i < last) rows.push_back(valid[i].end - valid[i].begin);
  }
  const int64_t begin = valid[last].begin, n = valid[last].end - begin;
  const int64_t stride = relation.strides[last];
  if (n == 0) return;
  for (Odometer row(rows); !row.done(); row.Next()) {
    int64_t coarse = 0, fine = 0;
    for (size_t i = 0; i < last; ++i) {
      const int64_t position = valid[i].begin + row[i];
      coarse = (coarse + position) * relation.coarse[i + 1];
      fine = (fine + position * relation.strides[i] + offsets[i]) * relation.fine[i + 1];
    }
    f(coarse + begin, fine + begin * stride + offsets[last], n, stride);
  }
}

}  // namespace roundel::engine
