#include "lib/fast/onednn/conv_shape.h"

#include <utility>

#include "lib/fast/onednn/primitive.h"

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

}  // namespace roundel::engine
