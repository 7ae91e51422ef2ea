#include "lib/tune/tables.h"

#include <algorithm>
#include <optional>
#include <set>

namespace roundel::tune {
namespace {

// The position of the lookup that makes `value`; nullopt if it is made otherwise, or read by others
// than `nodes`.
std::optional<size_t> LookupOf(const graph::Graph& graph, const quant::EncodingTable& encodings,
                               const std::set<const graph::Node*>& nodes,
                               const std::string& value) {
  const graph::Node* node = graph.Producer(value);
  if (!node || !node->Is("Gather") || node->Int("axis", 0) != 0 || graph.IsOutput(value) ||
      !encodings.contains(node->input(0)) || !graph.Constant(node->input(0)) ||
      graph.Constant(node->input(1)))
    return std::nullopt;
  for (const graph::Use& use : graph.Uses(value))
    if (!nodes.contains(use.node)) return std::nullopt;
  const auto& all = graph.nodes();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const graph::NodePtr& one) { return one.get() == node; });
  return static_cast<size_t>(found - all.begin());
}

}  // namespace

void JoinTables(const graph::Graph& graph, const quant::EncodingTable& encodings,
                std::vector<structure::Block>* blocks) {
  for (structure::Block& block : *blocks) {
    std::set<const graph::Node*> nodes;
    for (const size_t i : block.nodes) nodes.insert(graph.nodes()[i].get());
    for (std::string& input : block.inputs) {
      const auto lookup = LookupOf(graph, encodings, nodes, input);
      if (!lookup) continue;
      const graph::Node& node = *graph.nodes()[*lookup];
      if (std::find(block.inputs.begin(), block.inputs.end(), node.input(1)) != block.inputs.end())
        continue;
      input = node.input(1);
      block.nodes.insert(std::lower_bound(block.nodes.begin(), block.nodes.end(), *lookup),
                         *lookup);
      block.layers.insert(block.layers.begin(), *lookup);
      block.weights.insert(block.weights.begin(), node.input(0));
    }
  }
}

}  // namespace roundel::tune
