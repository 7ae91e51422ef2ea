#pragma once
// Conversion of Constant nodes to initializers.

#include <optional>
#include <set>
#include <string>

#include "lib/graph/graph.h"

namespace roundel::graph {

// The value of a Constant node, from any of its attributes; nullopt for a sparse tensor and for
// other nodes.
std::optional<Tensor> ConstantNodeValue(const Node& node);

// Converts Constant nodes of `graph` and its sub-graphs to initializers. A node that produces a
// graph output stays; its readers read a new initializer. `names`: all names of the model. Returns
// the number of new initializers.
int64_t MakeConstantNodesInitializers(Graph* graph, std::set<std::string>* names);

// `base`, or `base_1`, ...: not in `names`, to which it is added.
std::string UniqueName(const std::string& base, std::set<std::string>* names);

}  // namespace roundel::graph
