#include "lib/io/coded_scales.h"

namespace roundel::io {
namespace {

// Where the element `flat` of a tensor finds its entry among `parts`: one for all, one along
// `axis`, or a tensor of the same rank with blocks along `axis` and dimensions of 1 repeated.
Result<size_t> PartOf(const Shape& shape, size_t flat, const Shape& parts, int64_t axis,
                      int64_t block) {
  if (parts.empty()) return size_t{0};
  size_t index = 0, stride = 1;
  for (size_t a = shape.size(); a-- > 0;) {
    const auto dim = static_cast<size_t>(shape[a]);
    const bool along = static_cast<int64_t>(a) == axis;
    size_t at = flat % dim / static_cast<size_t>(along ? block : 1);
    flat /= dim;
    if (parts.size() == 1 && shape.size() > 1 && !along) continue;
    const auto count = static_cast<size_t>(parts.size() == 1 ? parts[0] : parts[a]);
    if (count == 1) at = 0;
    if (at >= count) return UsageError("scales of scales do not fit");
    index += at * stride;
    stride *= count;
  }
  return index;
}

}  // namespace

Result<Numbers> CodedScales(Numbers x, const Numbers& scale, const Numbers* zero, int64_t axis,
                            int64_t block) {
  const bool ranks = scale.shape.size() <= 1 || scale.shape.size() == x.shape.size();
  const bool along = scale.shape.size() != 1 || x.shape.size() <= 1 ||
                     (axis >= 0 && axis < static_cast<int64_t>(x.shape.size()));
  if (!ranks || !along || block < 1 || scale.values.empty() || (zero && zero->shape != scale.shape))
    return UsageError("scales of scales do not fit");
  for (size_t i = 0; i < x.values.size(); ++i) {
    ASSIGN_OR_RETURN(const size_t part, PartOf(x.shape, i, scale.shape, axis, block));
    x.values[i] = (x.values[i] - (zero ? zero->values[part] : 0)) * scale.values[part];
  }
  return x;
}

}  // namespace roundel::io
