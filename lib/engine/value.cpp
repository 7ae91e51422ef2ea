#include "lib/engine/value.h"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "lib/base/parallel.h"

namespace roundel::engine {

Shape PhysicalShape(const Shape& shape, Layout layout) {
  if (layout == Layout::kPlain) return shape;
  Shape physical = shape;
  std::rotate(physical.begin() + 1, physical.begin() + 2, physical.end());
  return physical;
}

int64_t PhysicalAxis(int64_t axis, int64_t rank, Layout layout) {
  if (layout == Layout::kPlain || axis == 0) return axis;
  return axis == 1 ? rank - 1 : axis - 1;
}

bool LayoutsCoincide(const Shape& shape) {
  if (shape.size() < 3) return true;
  int64_t pixels = 1;
  for (size_t i = 2; i < shape.size(); ++i) pixels *= shape[i];
  return shape[1] <= 1 || pixels <= 1;
}

namespace {

constexpr int64_t kTile = 16;  // a cache line of floats on either side
constexpr int64_t kBlock = 8;

#if defined(__x86_64__)
// 8 x 8 floats: pairs, then pairs of pairs, then halves of vectors change places.
__attribute__((target("avx2"))) void TransposeBlock(const float* from, int64_t from_stride,
                                                    float* to, int64_t to_stride) {
  __m256 row[kBlock], pair[kBlock], four[kBlock];
  for (int64_t i = 0; i < kBlock; ++i) row[i] = _mm256_loadu_ps(from + i * from_stride);
  for (int64_t i = 0; i < kBlock; i += 2) {
    pair[i] = _mm256_unpacklo_ps(row[i], row[i + 1]);
    pair[i + 1] = _mm256_unpackhi_ps(row[i], row[i + 1]);
  }
  for (int64_t i = 0; i < kBlock; i += 4)
    for (int64_t k = 0; k < 2; ++k) {
      four[i + 2 * k] = _mm256_shuffle_ps(pair[i + k], pair[i + k + 2], 0x44);
      four[i + 2 * k + 1] = _mm256_shuffle_ps(pair[i + k], pair[i + k + 2], 0xee);
    }
  for (int64_t i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(four[i], four[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(four[i], four[i + 4], 0x31));
  }
}
bool HasBlocks() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}
#else
void TransposeBlock(const float*, int64_t, float*, int64_t) {}
bool HasBlocks() { return false; }
#endif

// to[c, r] = from[r, c] for r < rows and c < columns of one tile.
template <typename T>
void TransposeTile(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t rows,
                   int64_t columns) {
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t r = 0; r < rows; ++r) to[c * to_stride + r] = from[r * from_stride + c];
}
void TransposeTile(const float* from, int64_t from_stride, float* to, int64_t to_stride,
                   int64_t rows, int64_t columns) {
  if (rows < kTile || columns < kTile || !HasBlocks())
    return TransposeTile<float>(from, from_stride, to, to_stride, rows, columns);
  for (int64_t r = 0; r < kTile; r += kBlock)
    for (int64_t c = 0; c < kTile; c += kBlock)
      TransposeBlock(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride);
}

template <typename T>
void Transpose(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t rows,
               int64_t columns) {
  for (int64_t r = 0; r < rows; r += kTile)
    for (int64_t c = 0; c < columns; c += kTile)
      TransposeTile(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride,
                    std::min(kTile, rows - r), std::min(kTile, columns - c));
}
template <typename T>
void Convert(const Shape& shape, const T* from, Layout from_layout, T* to) {
  int64_t pixels = 1;
  for (size_t i = 2; i < shape.size(); ++i) pixels *= shape[i];
  const int64_t channels = shape[1], image = channels * pixels;
  if (shape[0] == 0 || image == 0) return;
  const bool to_last = from_layout == Layout::kPlain;
  // The pixels are cut into strips, which are rows of the matrix on one side, columns on the other.
  constexpr int64_t kStrip = 1024;
  const int64_t strips = (pixels + kStrip - 1) / kStrip;
  ParallelFor(shape[0] * strips, 1, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t first = unit % strips * kStrip, last = std::min(pixels, first + kStrip);
      const T* source = from + unit / strips * image;
      T* target = to + unit / strips * image;
      if (to_last)
        Transpose(source + first, pixels, target + first * channels, channels, channels,
                  last - first);
      else
        Transpose(source + first * channels, channels, target + first, pixels, last - first,
                  channels);
    }
  });
}

}  // namespace

void ConvertLayout(const Shape& shape, const float* from, Layout from_layout, float* to) {
  Convert(shape, from, from_layout, to);
}
void ConvertLayout(const Shape& shape, const uint8_t* from, Layout from_layout, uint8_t* to) {
  Convert(shape, from, from_layout, to);
}

}  // namespace roundel::engine
