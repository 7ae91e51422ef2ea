#include "lib/io/coded_scales.h"

namespace roundel::io {
namespace {

// Where the element `flat` of a tensor finds its entry among `parts`: one for all, one along
// `axis`, or a tensor of the same rank with blocks along `axis` and dimensions of 1 repeated.
size_t PartOf(const Shape& shape, size_t flat, const Shape& parts, int64_t axis, int64_t block) {
  if (parts.empty()) return 0;
  size_t index = 0, stride = 1;
  for (size_t a = shape.size(); a-- > 0;) {
    const auto dim = static_cast<size_t>(shape[a]);
    const bool along = static_cast<int64_t>(a) == axis;
    size_t at = flat % dim / static_cast<size_t>(along ? block : 1);
    flat /= dim;
    if (parts.size() == 1 && shape.size() > 1 && !along) continue;
    const auto count = static_cast<size_t>(parts.size() == 1 ? parts[0] : parts[a]);
    if (count == 1) at = 0;
    index += at * stride;
    stride *= count;
  }
  return index;
}

// Whether `parts` has one entry, or one for every index (block) along each of its axes.
bool Fits(const Shape& shape, const Shape& parts, int64_t axis, int64_t block) {
  const bool along_axis = parts.size() == 1 && shape.size() > 1;
  if (along_axis && (axis < 0 || axis >= static_cast<int64_t>(shape.size()))) return false;
  if (!along_axis && !parts.empty() && parts.size() != shape.size()) return false;
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto a = along_axis ? static_cast<size_t>(axis) : i;
    const int64_t size = static_cast<int64_t>(a) == axis ? block : 1;
    const int64_t count = shape[a] / size + (shape[a] % size != 0);
    if (parts[i] != 1 && parts[i] != count) return false;
  }
  return true;
}

}  // namespace

Result<Numbers> CodedScales(Numbers x, const Numbers& scale, const Numbers* zero, int64_t axis,
                            int64_t block) {
  if (axis < 0) axis += static_cast<int64_t>(x.shape.size());
  if (block < 1 || scale.values.empty() || !Fits(x.shape, scale.shape, axis, block) ||
      (zero && zero->shape != scale.shape))
    return UsageError("scales of scales do not fit");
  for (size_t i = 0; i < x.values.size(); ++i) {
    const size_t part = PartOf(x.shape, i, scale.shape, axis, block);
    x.values[i] = (x.values[i] - (zero ? zero->values[part] : 0)) * scale.values[part];
  }
  return x;
}

}  // namespace roundel::io
