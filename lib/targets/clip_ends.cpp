// Clips before quantizers that clamp to the same codes, but with bounds between steps of the grid.
//
//    from   Clip(0, 6) -> Q, whose grid ends at 6.001      to   Clip(0, 6.001) -> Q
//
// Both give the same codes: values in between round to the last one. ONNX Runtime's optimizer
// checks twice whether such a Clip is redundant. The first check compares the ends of the grid, the
// second one the codes of the bounds. If their results differ, the optimizer keeps the float layer
// before the Clip in addition to its integer form, and the model does not load.

#include <algorithm>

#include "lib/quant/grid.h"
#include "lib/targets/export.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

struct Ends {
  float low, high;
};

// Of integer types; nullopt for others.
std::optional<std::pair<int32_t, int32_t>> Codes(DType type) {
  const int bits = BitWidth(type);
  if (!IsInteger(type) || bits > 16) return std::nullopt;
  const bool has_sign = type == DType::kInt4 || type == DType::kInt8 || type == DType::kInt16;
  const int32_t low = has_sign ? -(1 << (bits - 1)) : 0;
  return std::pair{low, low + (1 << bits) - 1};
}

// The minimum and maximum of the grid of `q`, if it clamps to the bounds without the Clip.
std::optional<Ends> ClampingEnds(const Graph& g, const Node& q, const Clamp& clamp) {
  const Tensor* scale = g.Constant(q.input(1));
  const Tensor* zero = q.input(2).empty() ? nullptr : g.Constant(q.input(2));
  if (!scale || !zero || scale->size() != 1 || scale->dtype() != DType::kFloat) return std::nullopt;
  const auto codes = Codes(zero->dtype());
  if (!codes) return std::nullopt;
  const quant::QParams p{.scale = scale->data<float>()[0],
                         .zero_point = static_cast<int32_t>(zero->ToInt64s()[0])};
  const auto [qmin, qmax] = *codes;
  if (quant::Quantize(clamp.low, p, qmin, qmax) != qmin ||
      quant::Quantize(clamp.high, p, qmin, qmax) != qmax)
    return std::nullopt;
  return Ends{quant::Dequantize(qmin, p), quant::Dequantize(qmax, p)};
}

}  // namespace

void WidenClips(graph::Model* model) {
  constexpr int64_t kClipWithInputs = 11;
  if (model->Opset() < kClipWithInputs) return;
  Graph& g = *model->graph;
  NameSet names(g);
  for (const auto& node : g.nodes()) {
    const auto clamp = node->Is("Clip") ? FindClamp(g, *node) : std::nullopt;
    const Node* q = clamp ? g.OnlyConsumer(node->output(0)) : nullptr;
    if (!q || !IsQuantizeNode(*q) || q->input(0) != node->output(0)) continue;
    const auto ends = ClampingEnds(g, *q, *clamp);
    if (!ends || (clamp->low <= ends->low && clamp->high >= ends->high)) continue;
    const float bounds[] = {std::min(clamp->low, ends->low), std::max(clamp->high, ends->high)};
    for (size_t i = 0; i < 2; ++i) {
      const std::string name = names.Fresh(node->output(0) + (i == 0 ? "_low" : "_high"));
      g.SetInitializer(name, Tensor::Scalar(bounds[i]));
      g.SetInput(node.get(), i + 1, name);
    }
  }
}

}  // namespace roundel::target
