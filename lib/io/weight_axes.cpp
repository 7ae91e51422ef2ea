#include "lib/io/weight_axes.h"

#include <algorithm>

#include "lib/graph/layer_slots.h"

namespace roundel::io {
namespace {

std::optional<graph::LayerSlots> SlotsOf(const graph::Graph& graph, const graph::Use& use,
                                         int64_t rank) {
  const graph::Node& node = *use.node;
  if (rank < 2 || (node.Is("Gather") && (node.Int("axis", 0) != 0 || rank != 2)))
    return std::nullopt;
  // Readers of such files assume that the weight of a MatMul is the right operand.
  if (node.Is("MatMul") && use.index == 0) return std::nullopt;
  for (const graph::LayerSlots& slots : graph::FindWeightSlots(graph, node, rank))
    if (use.index == static_cast<int>(slots.weight) &&
        std::max(slots.channel_axis, slots.reduce_axis) < rank)
      return slots;
  return std::nullopt;
}

}  // namespace

std::optional<WeightAxes> FindWeightAxes(const graph::Graph& graph, const std::string& name,
                                         int64_t rank) {
  if (rank == 1) return WeightAxes{0, 0};
  for (const graph::Use& use : graph.Uses(name))
    if (const auto slots = SlotsOf(graph, use, rank))
      return WeightAxes{slots->channel_axis, slots->reduce_axis};
  return std::nullopt;
}

quant::Role FindRole(const graph::Graph& graph, const std::string& name, int bits) {
  if (graph.Constant(name) == nullptr) return quant::Role::kActivation;
  if (bits == 32) return quant::Role::kBias;
  constexpr int64_t kAnyRank = 2;  // of the weight; the position of the bias does not depend on it
  for (const graph::Use& use : graph.Uses(name)) {
    const auto slots = graph::FindLayerSlots(graph, *use.node, kAnyRank);
    if (slots && slots->bias && use.index == static_cast<int>(*slots->bias))
      return quant::Role::kBias;
  }
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
