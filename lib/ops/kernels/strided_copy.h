#pragma once
// Copies between views with different strides of one index space: the core of Slice, Transpose,
// Pad, Concat, Split, Expand and Tile.

#include <cstdint>
#include <vector>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

// One side of a copy: the position of index (0, ..., 0), and the distance of neighbors, in
// elements. Strides may be negative (reversed slices) or zero (repeated elements, source only).
struct View {
  int64_t offset = 0;
  std::vector<int64_t> strides;
};

// A whole row-major tensor.
inline View WholeView(const Shape& shape) { return {0, Strides(shape)}; }

// to[view_to(i)] = from[view_from(i)] for every index i of `shape`. kModel for packed types and
// strings. Requires: all positions are in range.
Status CopyStrided(const Shape& shape, const Tensor& from, const View& view_from, Tensor* to,
                   const View& view_to);

// [planes, rows, columns] -> [planes, columns, rows].
void TransposePlanes(int64_t planes, int64_t rows, int64_t columns, const float* from, float* to);
void TransposePlanes(int64_t planes, int64_t rows, int64_t columns, const uint8_t* from,
                     uint8_t* to);

}  // namespace roundel::engine
