#include "lib/io/weight_axes.h"

#include <algorithm>

namespace roundel::io {
namespace {

std::optional<WeightAxes> AxesOf(const graph::Use& use, int64_t rank) {
  const graph::Node& node = *use.node;
  if (use.index == 0 && node.Is("Gather") && node.Int("axis", 0) == 0 && rank == 2)
    return WeightAxes{0, 1};  // [entries, width]
  const bool recurrent = node.Is("LSTM") || node.Is("GRU") || node.Is("RNN");
  if (recurrent && (use.index == 1 || use.index == 2) && rank == 3) return WeightAxes{1, 2};
  if (use.index != 1) return std::nullopt;
  if (node.Is("Conv") && rank >= 2) return WeightAxes{0, 1};           // [C_out, C_in/group, k...]
  if (node.Is("ConvTranspose") && rank >= 2) return WeightAxes{1, 0};  // [C_in, C_out/group, k...]
  if (node.Is("Gemm") && rank == 2)
    return node.Int("transB", 0) != 0 ? WeightAxes{0, 1} : WeightAxes{1, 0};
  if (node.Is("Attention", "com.microsoft") && rank == 2) return WeightAxes{1, 0};
  if (node.Is("MatMul"))
    return WeightAxes{rank - 1, std::max<int64_t>(0, rank - 2)};  // [..., K, N]
  return std::nullopt;
}

}  // namespace

std::optional<WeightAxes> FindWeightAxes(const graph::Graph& graph, const std::string& name,
                                         int64_t rank) {
  if (rank == 1) return WeightAxes{0, 0};
  for (const graph::Use& use : graph.Uses(name))
    if (const auto axes = AxesOf(use, rank)) return axes;
  return std::nullopt;
}

quant::Role FindRole(const graph::Graph& graph, const std::string& name, int bits) {
  if (graph.Constant(name) == nullptr) return quant::Role::kActivation;
  if (bits == 32) return quant::Role::kBias;
  for (const graph::Use& use : graph.Uses(name))
    if (use.index == 2 &&
        (use.node->Is("Conv") || use.node->Is("ConvTranspose") || use.node->Is("Gemm")))
      return quant::Role::kBias;
  return quant::Role::kWeight;
}

std::optional<Shape> FindShape(const graph::Graph& graph, const std::string& name) {
  if (const Tensor* value = graph.Constant(name)) return value->shape();
  for (const auto* infos : {&graph.value_info, &graph.inputs, &graph.outputs})
    for (const graph::ValueInfo& info : *infos) {
      if (info.name != name || !info.shape) continue;
      Shape shape;
      for (const graph::Dim& dim : *info.shape) shape.push_back(dim.value.value_or(-1));
      if (CheckedNumElements(shape, info.dtype).ok()) return shape;
    }
  return std::nullopt;
}

}  // namespace roundel::io
