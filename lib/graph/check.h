#pragma once
// Structural validity, checked after reading and after every pass.

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

// Errors: kModel, with the name, for a value that is produced twice, a node input or graph output
// that nothing produces (missing initializer), a cycle, a duplicate initializer or input name, a
// negative dimension; also in sub-graphs and functions. Duplicate node names are allowed. Nodes out
// of order, which are legal only in memory, are sorted first.
Status CheckModel(Model* model);

}  // namespace roundel::graph
