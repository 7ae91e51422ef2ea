#pragma once
// The layers at the ends of a network, which few bits harm most.

#include <set>

#include "lib/graph/graph.h"

namespace roundel::graph {

// Layers with a constant weight (FindWeightSlots).
struct EndLayers {
  std::set<const Node*> first;  // no layer lies on a path from the graph's inputs to these
  std::set<const Node*> last;   // no layer lies behind these
};

// Requires: nodes are in topological order.
EndLayers FindEndLayers(const Graph& graph);

}  // namespace roundel::graph
