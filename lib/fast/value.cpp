#include "lib/fast/value.h"

#include <algorithm>

#include "lib/ops/kernels/strided_copy.h"

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

template <typename T>
void Convert(const Shape& shape, const T* from, Layout from_layout, T* to) {
  int64_t pixels = 1;
  for (size_t i = 2; i < shape.size(); ++i) pixels *= shape[i];
  const bool to_last = from_layout == Layout::kPlain;
  TransposePlanes(shape[0], to_last ? shape[1] : pixels, to_last ? pixels : shape[1], from, to);
}

}  // namespace

void ConvertLayout(const Shape& shape, const float* from, Layout from_layout, float* to) {
  Convert(shape, from, from_layout, to);
}
void ConvertLayout(const Shape& shape, const uint8_t* from, Layout from_layout, uint8_t* to) {
  Convert(shape, from, from_layout, to);
}

}  // namespace roundel::engine
