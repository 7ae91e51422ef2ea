#pragma once
// Copying between differently strided views of the same index space: what Slice, Transpose, Pad,
// Concat, Split, Expand and Tile are made of.

#include <cstdint>
#include <vector>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

// One side of a copy: where index (0, ..., 0) lies and how far apart neighbours are, in elements.
// Strides may be negative (reversed slices) or zero (repeated elements, source only).
struct View {
  int64_t offset = 0;
  std::vector<int64_t> strides;
};

// The whole of a row-major tensor.
inline View WholeView(const Shape& shape) { return {0, Strides(shape)}; }

// to[view_to(i)] = from[view_from(i)] for every index i of `shape`. Types that are packed below a
// byte or strings are kModel. The caller has checked that all indices lie inside.
Status CopyStrided(const Shape& shape, const Tensor& from, const View& view_from, Tensor* to,
                   const View& view_to);

// [planes, rows, columns] -> [planes, columns, rows].
void TransposePlanes(int64_t planes, int64_t rows, int64_t columns, const float* from, float* to);
void TransposePlanes(int64_t planes, int64_t rows, int64_t columns, const uint8_t* from,
                     uint8_t* to);

}  // namespace roundel::engine
