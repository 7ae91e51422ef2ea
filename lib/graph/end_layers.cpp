#include "lib/graph/end_layers.h"

#include <algorithm>
#include <string>

#include "lib/graph/layer_slots.h"

namespace roundel::graph {

EndLayers FindEndLayers(const Graph& graph) {
  EndLayers ends;
  std::set<std::string> behind, before;  // values behind a layer, and those that one reads later
  const auto any = [](const std::vector<std::string>& values, const std::set<std::string>& of) {
    return std::any_of(values.begin(), values.end(),
                       [&](const std::string& value) { return of.contains(value); });
  };
  const auto& nodes = graph.nodes();
  std::set<const Node*> layers;
  for (const NodePtr& node : nodes) {
    const bool layer = !FindWeightSlots(graph, *node, 2).empty(), later = any(node->inputs, behind);
    if (layer) layers.insert(node.get());
    if (layer && !later) ends.first.insert(node.get());
    if (layer || later) behind.insert(node->outputs.begin(), node->outputs.end());
  }
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    const bool layer = layers.contains(node->get()), earlier = any((*node)->outputs, before);
    if (layer && !earlier) ends.last.insert(node->get());
    if (layer || earlier) before.insert((*node)->inputs.begin(), (*node)->inputs.end());
  }
  return ends;
}

}  // namespace roundel::graph
