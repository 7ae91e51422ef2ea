#pragma once
// Operators with attributes that became inputs at some opset. A node in the form of another opset
// than the model's is invalid: a bound or an axis in the wrong place would silently be ignored.

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

// Errors: kModel, naming the first such node of the graph, its sub-graphs or a function.
Status CheckForms(const Model& model);

}  // namespace roundel::graph
