#pragma once
// Structural validity, checked once after reading and after every pass.

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

// kModel, naming the culprit: a value produced twice, a node input that nothing produces (missing
// initializer), a cycle, a duplicate node name is allowed, a duplicate initializer or input name is
// not, an output that nothing produces, a negative dimension; sub-graphs and functions included.
// Nodes out of order are sorted first (that is legal only in memory).
Status CheckModel(Model* model);

}  // namespace roundel::graph
