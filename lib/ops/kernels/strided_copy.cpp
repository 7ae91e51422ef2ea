#include "lib/ops/kernels/strided_copy.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "lib/ops/kernels/types.h"

namespace roundel::engine {
namespace {

// A copy whose axes are merged where both sides are contiguous.
struct Loops {
  Shape dims;
  std::vector<int64_t> from, to;  // strides
};

Loops MergeAxes(const Shape& shape, const View& from, const View& to) {
  Loops loops;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    if (!loops.dims.empty() && loops.from.back() == from.strides[i] * shape[i] &&
        loops.to.back() == to.strides[i] * shape[i]) {
      loops.dims.back() *= shape[i];
      loops.from.back() = from.strides[i];
      loops.to.back() = to.strides[i];
    } else {
      loops.dims.push_back(shape[i]);
      loops.from.push_back(from.strides[i]);
      loops.to.push_back(to.strides[i]);
    }
  }
  // At least two axes: a plane.
  while (loops.dims.size() < 2) {
    loops.dims.insert(loops.dims.begin(), 1);
    loops.from.insert(loops.from.begin(), 1);
    loops.to.insert(loops.to.begin(), 1);
  }
  return loops;
}

// ---- the innermost two axes, a plane

// Distance of neighbors along the rows and columns of a plane.
struct Steps {
  int64_t row, column;
};

// Contiguous rows of a fixed number of bytes: a fixed number of moves each.
template <size_t bytes, typename T>
void CopyShortRows(const T* from, int64_t step_from, T* to, int64_t step_to, int64_t rows) {
  for (int64_t i = 0; i < rows; ++i) std::memcpy(to + i * step_to, from + i * step_from, bytes);
}

template <typename T>
void CopyRows(const T* from, int64_t step_from, T* to, int64_t step_to, int64_t rows,
              int64_t columns) {
  const size_t bytes = static_cast<size_t>(columns) * sizeof(T);
  switch (bytes) {
    case 4: return CopyShortRows<4>(from, step_from, to, step_to, rows);
    case 8: return CopyShortRows<8>(from, step_from, to, step_to, rows);
    case 16: return CopyShortRows<16>(from, step_from, to, step_to, rows);
    case 32: return CopyShortRows<32>(from, step_from, to, step_to, rows);
    case 64: return CopyShortRows<64>(from, step_from, to, step_to, rows);
    case 128: return CopyShortRows<128>(from, step_from, to, step_to, rows);
    case 256: return CopyShortRows<256>(from, step_from, to, step_to, rows);
  }
  for (int64_t i = 0; i < rows; ++i) std::memcpy(to + i * step_to, from + i * step_from, bytes);
}

template <typename T>
void CopyElements(const T* from, Steps at, T* to, Steps step, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t k = 0; k < columns; ++k)
      to[i * step.row + k * step.column] = from[i * at.row + k * at.column];
}

// ---- transpose of a plane: the source is contiguous along rows, the target along columns

constexpr int64_t kTile = 16;  // in both axes: the reads and writes of a tile stay in the L1 cache

// 4 x 4 elements of four bytes: exchanges halves of rows, then quarters.
void TransposeQuad(const uint32_t* from, int64_t step_from, uint32_t* to, int64_t step_to) {
  using Quad = uint32_t __attribute__((vector_size(16)));
  Quad x[4];
  for (int64_t i = 0; i < 4; ++i) std::memcpy(&x[i], from + i * step_from, sizeof x[i]);
  const Quad low02 = __builtin_shufflevector(x[0], x[2], 0, 4, 1, 5);
  const Quad low13 = __builtin_shufflevector(x[1], x[3], 0, 4, 1, 5);
  const Quad high02 = __builtin_shufflevector(x[0], x[2], 2, 6, 3, 7);
  const Quad high13 = __builtin_shufflevector(x[1], x[3], 2, 6, 3, 7);
  const Quad y[4] = {__builtin_shufflevector(low02, low13, 0, 4, 1, 5),
                     __builtin_shufflevector(low02, low13, 2, 6, 3, 7),
                     __builtin_shufflevector(high02, high13, 0, 4, 1, 5),
                     __builtin_shufflevector(high02, high13, 2, 6, 3, 7)};
  for (int64_t i = 0; i < 4; ++i) std::memcpy(to + i * step_to, &y[i], sizeof y[i]);
}

#if defined(__x86_64__)
// 8 x 8 elements of four bytes: exchanges pairs, then pairs of pairs, then halves of vectors.
__attribute__((target("avx2"))) void TransposeEight(const uint32_t* from, int64_t step_from,
                                                    uint32_t* to, int64_t step_to) {
  __m256 row[8], pair[8], four[8];
  for (int64_t i = 0; i < 8; ++i)
    row[i] = _mm256_loadu_ps(reinterpret_cast<const float*>(from + i * step_from));
  for (int64_t i = 0; i < 8; i += 2) {
    pair[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
    pair[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
  }
  for (int64_t i = 0; i < 8; i += 4)
    for (int64_t k = 0; k < 2; ++k) {
      four[i + 2 * k] = _mm256_shuffle_ps(pair[i + k], pair[i + k + 2], 0x44);
      four[i + 2 * k + 1] = _mm256_shuffle_ps(pair[i + k], pair[i + k + 2], 0xee);
    }
  for (int64_t i = 0; i < 4; ++i) {
    const __m256 low = _mm256_permute2f128_ps(four[i], four[i + 4], 0x20);
    const __m256 high = _mm256_permute2f128_ps(four[i], four[i + 4], 0x31);
    std::memcpy(to + i * step_to, &low, sizeof low);
    std::memcpy(to + (i + 4) * step_to, &high, sizeof high);
  }
}
bool HasEight() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}
#else
void TransposeEight(const uint32_t*, int64_t, uint32_t*, int64_t) {}
bool HasEight() { return false; }
#endif

template <typename T>
void TransposeTile(const T* from, int64_t step_from, T* to, int64_t step_to, int64_t rows,
                   int64_t columns) {
  if constexpr (sizeof(T) == 4) {
    if (rows == kTile && columns == kTile && HasEight()) {
      for (int64_t i = 0; i < kTile; i += 8)
        for (int64_t k = 0; k < kTile; k += 8)
          TransposeEight(from + k * step_from + i, step_from, to + i * step_to + k, step_to);
      return;
    }
    if (rows == kTile && columns == kTile) {
      for (int64_t i = 0; i < kTile; i += 4)
        for (int64_t k = 0; k < kTile; k += 4)
          TransposeQuad(from + k * step_from + i, step_from, to + i * step_to + k, step_to);
      return;
    }
  }
  CopyElements(from, {1, step_from}, to, {step_to, 1}, rows, columns);
}

// Few planes, such as the colors of an image: to[k * planes + i] = from[i * step + k].
template <int planes, typename T>
void Interleave(const T* from, int64_t step, T* to, int64_t count) {
  for (int64_t k = 0; k < count; ++k)
    for (int i = 0; i < planes; ++i) to[k * planes + i] = from[i * step + k];
}

template <typename T>
void TransposePlane(const T* from, int64_t step_from, T* to, int64_t step_to, int64_t rows,
                    int64_t columns) {
  if (step_to == columns && columns == 2) return Interleave<2>(from, step_from, to, rows);
  if (step_to == columns && columns == 3) return Interleave<3>(from, step_from, to, rows);
  if (step_to == columns && columns == 4) return Interleave<4>(from, step_from, to, rows);
  for (int64_t i = 0; i < rows; i += kTile)
    for (int64_t k = 0; k < columns; k += kTile)
      TransposeTile(from + k * step_from + i, step_from, to + i * step_to + k, step_to,
                    std::min(kTile, rows - i), std::min(kTile, columns - k));
}

template <typename T>
void CopyPlane(const T* from, Steps at, T* to, Steps step, int64_t rows, int64_t columns) {
  if (at.column == 1 && step.column == 1)
    CopyRows(from, at.row, to, step.row, rows, columns);
  else if (at.row == 1 && step.column == 1)
    TransposePlane(from, at.column, to, step.row, rows, columns);
  else
    CopyElements(from, at, to, step, rows, columns);
}

// All planes, in chunks of rows.
template <typename T>
void RunLoops(const Loops& loops, const T* from, T* to) {
  const auto axes = static_cast<int64_t>(loops.dims.size());
  const int64_t columns = loops.dims[axes - 1], rows = loops.dims[axes - 2];
  const Steps at{loops.from[axes - 2], loops.from[axes - 1]};
  const Steps step{loops.to[axes - 2], loops.to[axes - 1]};
  const int64_t grain = std::max(kTile, RowGrain(columns));
  ParallelFor(Product(loops.dims, 0, axes - 1), grain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t first = begin % rows, count = std::min(rows - first, end - begin);
      int64_t source = first * at.row, target = first * step.row, rest = begin / rows;
      for (int64_t axis = axes - 3; axis >= 0; --axis) {
        const int64_t index = rest % loops.dims[axis];
        rest /= loops.dims[axis];
        source += index * loops.from[axis];
        target += index * loops.to[axis];
      }
      CopyPlane(from + source, at, to + target, step, count, columns);
      begin += count;
    }
  });
}

// Loops over the target in its own order.
template <typename T>
void RunTranspose(int64_t planes, int64_t rows, int64_t columns, const T* from, T* to) {
  if (planes == 0 || rows == 0 || columns == 0) return;
  const int64_t plane = rows * columns;
  RunLoops(
      Loops{.dims = {planes, columns, rows}, .from = {plane, 1, columns}, .to = {plane, rows, 1}},
      from, to);
}

}  // namespace

void TransposePlanes(int64_t planes, int64_t rows, int64_t columns, const float* from, float* to) {
  RunTranspose(planes, rows, columns, reinterpret_cast<const uint32_t*>(from),
               reinterpret_cast<uint32_t*>(to));
}
void TransposePlanes(int64_t planes, int64_t rows, int64_t columns, const uint8_t* from,
                     uint8_t* to) {
  RunTranspose(planes, rows, columns, from, to);
}

Status CopyStrided(const Shape& shape, const Tensor& from, const View& view_from, Tensor* to,
                   const View& view_to) {
  if (NumElements(shape) == 0) return OkStatus();
  const Loops loops = MergeAxes(shape, view_from, view_to);
  return VisitBytes(from.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    RunLoops(loops, static_cast<const T*>(from.raw()) + view_from.offset,
             static_cast<T*>(to->mutable_raw()) + view_to.offset);
    return OkStatus();
  });
}

}  // namespace roundel::engine
