#pragma once
// Constant nodes, which stand for initializers.

#include <optional>
#include <set>
#include <string>

#include "lib/graph/graph.h"

namespace roundel::graph {

// What a Constant node gives, whichever attribute says it; nullopt for a sparse tensor, and for any
// other node.
std::optional<Tensor> ConstantNodeValue(const Node& node);

// Constant nodes of `graph` and its sub-graphs become initializers. Of a node that is an output of its
// graph only the readers are moved: outputs keep their producers. `names`: all names of the model.
// Returns how many values became initializers.
int64_t MakeConstantNodesInitializers(Graph* graph, std::set<std::string>* names);

// `base`, or `base_1`, ...: not in `names`, to which it is added.
std::string UniqueName(const std::string& base, std::set<std::string>* names);

}  // namespace roundel::graph
