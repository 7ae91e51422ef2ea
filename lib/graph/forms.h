#pragma once
// Operators whose attributes became inputs at some opset. A node in the form of another opset than
// its own is invalid: a bound or an axis that stands where nobody looks would silently not count.

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

// kModel, naming the node, for the first such node of the graph, its sub-graphs, or a function.
Status CheckForms(const Model& model);

}  // namespace roundel::graph
