#include "lib/fast/onednn/conv_shape.h"

#include <utility>

namespace roundel::engine {

std::optional<ConvShape> ResolveConv(const graph::Node& node, int64_t groups, const Shape& x,
                                     const Shape& weights) {
  if (x.size() != weights.size() || groups < 1 || weights[0] % groups != 0 || x[1] % groups != 0 ||
      weights[1] != x[1] / groups || !DimsFit(weights))
    return std::nullopt;
  const Shape kernel(weights.begin() + 2, weights.end());
  if (node.Ints("kernel_shape", kernel) != kernel) return std::nullopt;
  Result<Window> window = ResolveWindow(node, Shape(x.begin() + 2, x.end()), kernel, false);
  if (!window.ok()) return std::nullopt;
  Shape result = {x[0], weights[0]};
  result.insert(result.end(), window->output.begin(), window->output.end());
  if (!DimsFit(x) || !DimsFit(result)) return std::nullopt;
  return ConvShape{std::move(*window), std::move(result)};
}

namespace {

// The attributes of a ConvTranspose; without output sizes and end padding.
struct Spread {
  std::vector<int64_t> strides, dilations, pads, extra;
};
std::optional<Spread> SpreadOf(const graph::Node& node, const Shape& kernel) {
  const size_t axes = kernel.size();
  const std::string auto_pad = node.String("auto_pad", "NOTSET");
  if ((auto_pad != "NOTSET" && auto_pad != "VALID" && !auto_pad.empty()) ||
      node.FindAttribute("output_shape"))
    return std::nullopt;
  const std::vector<int64_t> zeros(2 * axes, 0);
  Spread s{.strides = node.Ints("strides", std::vector<int64_t>(axes, 1)),
           .dilations = node.Ints("dilations", std::vector<int64_t>(axes, 1)),
           .pads = auto_pad == "VALID" ? zeros : node.Ints("pads", zeros),
           .extra = node.Ints("output_padding", std::vector<int64_t>(axes, 0))};
  if (s.pads.size() != 2 * axes || s.extra.size() != axes || s.strides.size() != axes ||
      s.dilations.size() != axes)
    return std::nullopt;
  for (size_t i = 0; i < axes; ++i) {
    constexpr int64_t kMax = 1 << 20;  // products of them do not overflow
    for (int64_t v : {s.pads[i], s.pads[axes + i], s.extra[i], s.strides[i], s.dilations[i]})
      if (v < 0 || v > kMax) return std::nullopt;
    if (s.strides[i] < 1 || s.dilations[i] < 1 || kernel[i] > kMax) return std::nullopt;
  }
  return s;
}

}  // namespace

std::optional<TransposedShape> ResolveConvTranspose(const graph::Node& node, int64_t groups,
                                                    const Shape& x, const Shape& weights) {
  if (x.size() != weights.size() || groups < 1 || weights[0] != x[1] || x[1] % groups != 0 ||
      !DimsFit(weights) || !DimsFit(x))
    return std::nullopt;
  const Shape kernel(weights.begin() + 2, weights.end());
  const auto spread = SpreadOf(node, kernel);
  if (!spread) return std::nullopt;
  TransposedShape shape{{.strides = spread->strides, .dilations = spread->dilations},
                        {x[0], weights[1] * groups}};
  const size_t axes = kernel.size();
  for (size_t i = 0; i < axes; ++i) {
    const int64_t span = (kernel[i] - 1) * spread->dilations[i] + 1;
    const int64_t full = (x[2 + i] - 1) * spread->strides[i] + span;
    const int64_t begin = spread->pads[i];
    const int64_t output = full + spread->extra[i] - begin - spread->pads[axes + i];
    if (output < 1) return std::nullopt;
    shape.result.push_back(output);
    shape.geometry.pads_begin.push_back(begin);
    shape.geometry.pads_end.push_back(full - begin - output);
  }
  if (!DimsFit(shape.result)) return std::nullopt;
  return shape;
}

Shape GroupedShape(Shape weights, int64_t groups) {
  if (groups == 1) return weights;
  weights[0] /= groups;
  weights.insert(weights.begin(), groups);
  return weights;
}

std::vector<int64_t> ExactEndPads(const Window& window) {
  std::vector<int64_t> pads(window.pads_end.size());
  for (size_t i = 0; i < pads.size(); ++i)
    pads[i] = (window.output[i] - 1) * window.strides[i] +
              (window.kernel[i] - 1) * window.dilations[i] + 1 - window.input[i] -
              window.pads_begin[i];
  return pads;
}

ConvGeometry GeometryOf(const Window& window) {
  return {window.strides, window.dilations, window.pads_begin, ExactEndPads(window)};
}

}  // namespace roundel::engine
