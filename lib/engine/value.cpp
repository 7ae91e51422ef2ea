#include "lib/engine/value.h"

#include <algorithm>

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

// [rows, columns] -> [columns, rows] for rows in [begin, end). Tiles of 16 x 16 floats: one cache
// line of either side per tile row.
template <typename T>
void TransposeRows(const T* from, T* to, int64_t rows, int64_t columns, int64_t begin,
                   int64_t end) {
  constexpr int64_t kTile = 16;
  for (int64_t r0 = begin; r0 < end; r0 += kTile) {
    const int64_t r1 = std::min(end, r0 + kTile);
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const int64_t c1 = std::min(columns, c0 + kTile);
      for (int64_t c = c0; c < c1; ++c)
        for (int64_t r = r0; r < r1; ++r) to[c * rows + r] = from[r * columns + c];
    }
  }
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
      if (!to_last) {
        TransposeRows(source, target, pixels, channels, first, last);
        continue;
      }
      constexpr int64_t kTile = 16;
      for (int64_t p0 = first; p0 < last; p0 += kTile) {
        const int64_t p1 = std::min(last, p0 + kTile);
        for (int64_t c0 = 0; c0 < channels; c0 += kTile) {
          const int64_t c1 = std::min(channels, c0 + kTile);
          for (int64_t p = p0; p < p1; ++p)
            for (int64_t c = c0; c < c1; ++c) target[p * channels + c] = source[c * pixels + p];
        }
      }
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
