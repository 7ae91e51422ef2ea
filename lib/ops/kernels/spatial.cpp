#include "lib/ops/kernels/spatial.h"

#include <algorithm>

#include "lib/base/text.h"

namespace roundel::engine {
namespace {

// Larger than any real window, and small enough that no product below overflows.
constexpr int64_t kMaxExtent = int64_t{1} << 30;

Result<std::vector<int64_t>> BoundedAttribute(const graph::Node& node, const std::string& name,
                                              size_t count, int64_t fallback, int64_t low) {
  const std::vector<int64_t> values = node.Ints(name, std::vector<int64_t>(count, fallback));
  bool fits = values.size() == count;
  for (int64_t value : values) fits = fits && value >= low && value <= kMaxExtent;
  if (!fits)
    return ModelError(StrCat("attribute ", name, " [", Join(values), "]: ", count, " values from ",
                             low, " on are needed"));
  return values;
}

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// auto_pad SAME_*: the output is ceil(input / stride), and the padding follows from that.
void PadToSame(Window& window, size_t axis, bool upper) {
  const int64_t span = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
  window.output[axis] = CeilDiv(window.input[axis], window.strides[axis]);
  const int64_t total = std::max<int64_t>(
      0, (window.output[axis] - 1) * window.strides[axis] + span - window.input[axis]);
  window.pads_begin[axis] = upper ? total / 2 : total - total / 2;
  window.pads_end[axis] = total - window.pads_begin[axis];
}

Status SetOutputSize(Window& window, size_t axis, bool ceil_mode) {
  const int64_t span = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
  const int64_t padded = window.input[axis] + window.pads_begin[axis] + window.pads_end[axis];
  if (padded < span)
    return ModelError(StrCat("the window of ", span, " exceeds the padded input of ", padded,
                             " along spatial axis ", axis, " of ", ShapeString(window.input)));
  const int64_t steps = padded - span, stride = window.strides[axis];
  window.output[axis] = (ceil_mode ? CeilDiv(steps, stride) : steps / stride) + 1;
  // A window that would start in the end padding is dropped (specified since opset 22; runtimes
  // have always done so).
  if (ceil_mode &&
      (window.output[axis] - 1) * stride >= window.input[axis] + window.pads_begin[axis])
    --window.output[axis];
  return OkStatus();
}

}  // namespace

Result<std::vector<int64_t>> PositiveAttribute(const graph::Node& node, const std::string& name,
                                               size_t rank) {
  return BoundedAttribute(node, name, rank, 1, 1);
}

Result<Shape> SpatialShape(const Tensor& x) {
  if (x.rank() < 3)
    return ModelError(StrCat("input of shape ", ShapeString(x.shape()),
                             " has no spatial dimensions ([N, C, ...] needed)"));
  return Shape(x.shape().begin() + 2, x.shape().end());
}

Result<Window> ResolveWindow(const graph::Node& node, const Shape& input,
                             const std::vector<int64_t>& kernel, bool ceil_mode) {
  const size_t rank = input.size();
  Window window;
  window.input = input;
  window.kernel = kernel;
  if (kernel.size() != rank)
    return ModelError(
        StrCat("kernel [", Join(kernel), "] does not fit spatial shape ", ShapeString(input)));
  for (size_t i = 0; i < rank; ++i)
    if (kernel[i] < 1 || kernel[i] > kMaxExtent || input[i] > int64_t{1} << 40)
      return ModelError(StrCat("kernel [", Join(kernel), "] over ", ShapeString(input)));
  ASSIGN_OR_RETURN(window.strides, PositiveAttribute(node, "strides", rank));
  ASSIGN_OR_RETURN(window.dilations, PositiveAttribute(node, "dilations", rank));
  const std::string auto_pad = node.String("auto_pad", "NOTSET");
  std::vector<int64_t> pads(2 * rank, 0);
  if (auto_pad == "NOTSET" || auto_pad.empty()) {
    ASSIGN_OR_RETURN(pads, BoundedAttribute(node, "pads", 2 * rank, 0, 0));
  }
  window.pads_begin.assign(pads.begin(), pads.begin() + static_cast<int64_t>(rank));
  window.pads_end.assign(pads.begin() + static_cast<int64_t>(rank), pads.end());
  window.output.resize(rank);
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  for (size_t i = 0; i < rank; ++i) {
    if (same)
      PadToSame(window, i, auto_pad == "SAME_UPPER");
    else
      RETURN_IF_ERROR(SetOutputSize(window, i, ceil_mode));
  }
  return window;
}

Interval ValidOutputs(int64_t output, int64_t input, int64_t stride, int64_t offset) {
  // o * stride + offset >= 0  and  o * stride + offset <= input - 1
  const int64_t begin = offset >= 0 ? 0 : CeilDiv(-offset, stride);
  const int64_t end = input - offset <= 0 ? 0 : CeilDiv(input - offset, stride);
  return {begin, std::max(begin, std::min(output, end))};
}

}  // namespace roundel::engine
