#include "lib/ops/kernels/transposed_convolution.h"

#include <algorithm>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {
namespace {

// The padding that reduces stride * (in - 1) + output_padding + span to `output`.
void PadToOutput(Window& window, size_t axis, int64_t full, bool upper) {
  const int64_t total = std::max<int64_t>(0, full - window.output[axis]);
  window.pads_begin[axis] = upper ? total / 2 : total - total / 2;
  window.pads_end[axis] = total - window.pads_begin[axis];
}

Result<Window> TransposedWindow(const graph::Node& node, const Shape& input,
                                const std::vector<int64_t>& kernel) {
  const size_t rank = input.size();
  Window window{input, Shape(rank), kernel, {}, {}, {}, {}};
  ASSIGN_OR_RETURN(window.strides, PositiveAttribute(node, "strides", rank));
  ASSIGN_OR_RETURN(window.dilations, PositiveAttribute(node, "dilations", rank));
  const std::string auto_pad = node.String("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  const auto attribute = [&](const char* name, size_t count) -> Result<std::vector<int64_t>> {
    const std::vector<int64_t> values = node.Ints(name, std::vector<int64_t>(count, 0));
    bool fits = values.size() == count;
    for (int64_t value : values) fits = fits && value >= 0 && value < int64_t{1} << 30;
    if (!fits) return ModelError(StrCat("attribute ", name, " [", Join(values), "] does not fit"));
    return values;
  };
  ASSIGN_OR_RETURN(const std::vector<int64_t> pads, attribute("pads", 2 * rank));
  ASSIGN_OR_RETURN(const std::vector<int64_t> extra, attribute("output_padding", rank));
  const bool has_shape = node.FindAttribute("output_shape") != nullptr;
  ASSIGN_OR_RETURN(std::vector<int64_t> wanted, attribute("output_shape", rank));
  window.pads_begin.assign(pads.begin(), pads.begin() + static_cast<int64_t>(rank));
  window.pads_end.assign(pads.begin() + static_cast<int64_t>(rank), pads.end());
  for (size_t i = 0; i < rank; ++i) {
    if (kernel[i] < 1 || kernel[i] > int64_t{1} << 30 || input[i] < 1 || input[i] > 1 << 30)
      return ModelError(StrCat("kernel [", Join(kernel), "] over ", ShapeString(input)));
    const int64_t span = (kernel[i] - 1) * window.dilations[i] + 1;
    const int64_t full = (input[i] - 1) * window.strides[i] + extra[i] + span;
    if (has_shape || same) {
      window.output[i] = has_shape ? wanted[i] : input[i] * window.strides[i];
      PadToOutput(window, i, full, auto_pad == "SAME_UPPER");
      continue;
    }
    if (auto_pad == "VALID") window.pads_begin[i] = window.pads_end[i] = 0;
    window.output[i] = full - window.pads_begin[i] - window.pads_end[i];
    if (window.output[i] < 0)
      return ModelError(StrCat("pads [", Join(pads), "] exceed the output of ", full));
  }
  return window;
}

}  // namespace

Shape TransposedConvolution::output_shape() const {
  Shape shape = {batch, channels_out};
  shape.insert(shape.end(), window.output.begin(), window.output.end());
  return shape;
}

Result<TransposedConvolution> ResolveTransposedConvolution(const graph::Node& node, const Shape& x,
                                                           const Shape& w) {
  const int64_t groups = node.Int("group", 1);
  if (x.size() < 3 || w.size() != x.size() || groups < 1 || x[1] % groups != 0 || w[0] != x[1] ||
      w[1] > kMaxTensorBytes / groups)
    return ModelError(StrCat("input ", ShapeString(x), ", weights ", ShapeString(w), " and group ",
                             groups, " do not fit"));
  ASSIGN_OR_RETURN(Window window, TransposedWindow(node, Shape(x.begin() + 2, x.end()),
                                                   Shape(w.begin() + 2, w.end())));
  return TransposedConvolution{x[0], x[1], w[1] * groups, groups, std::move(window)};
}

}  // namespace roundel::engine
