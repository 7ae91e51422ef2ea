#include "lib/targets/fused_adds.h"

#include <algorithm>
#include <unordered_map>

#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

bool HasConstant(const Graph& g, const Node& node) {
  return std::any_of(node.inputs.begin(), node.inputs.end(),
                     [&](const std::string& value) { return g.Constant(value) != nullptr; });
}

// The layer that writes the value, possibly before a bias is added; nullptr if there is none, or if
// others read the value too, because it then has to be written before the sum.
const Node* ProducingLayer(const Graph& g, const Node& add, const std::string& value) {
  if (g.OnlyConsumer(value) != &add) return nullptr;
  const Node* producer = g.Producer(value);
  if (!producer) return nullptr;
  if (graph::IsLayerOp(*producer)) return producer;
  if (!producer->Is("Add") || !HasConstant(g, *producer)) return nullptr;
  for (const std::string& input : producer->inputs)
    if (!g.Constant(input)) return ProducingLayer(g, *producer, input);
  return nullptr;
}

// The number of layers on the longest path from the graph's inputs to the value.
int64_t Depth(const Graph& g, const std::string& value) {
  std::unordered_map<std::string, int64_t> depth;
  for (const auto& node : g.nodes()) {
    int64_t longest = 0;
    for (const std::string& input : node->inputs)
      if (const auto it = depth.find(input); it != depth.end())
        longest = std::max(longest, it->second);
    for (const std::string& output : node->outputs)
      depth[output] = longest + (graph::IsLayerOp(*node) ? 1 : 0);
    if (depth.contains(value)) break;
  }
  return depth[value];
}

}  // namespace

std::optional<size_t> FusedOperand(const Graph& g, const Node& add) {
  if (add.inputs.size() != 2 || HasConstant(g, add)) return std::nullopt;
  const bool first = ProducingLayer(g, add, add.input(0)),
             second = ProducingLayer(g, add, add.input(1));
  if (first && second) return Depth(g, add.input(1)) > Depth(g, add.input(0)) ? 1 : 0;
  if (!first && !second) return std::nullopt;
  return first ? 0 : 1;
}

std::string FusedAddProblem(const Graph& g, const Node& add) {
  if (HasConstant(g, add)) return "it runs as part of the layer before it";
  if (!FusedOperand(g, add)) return "no operand is the result of a layer that it could run in";
  return "";
}

}  // namespace roundel::target
