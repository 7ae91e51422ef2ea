#pragma once
// Constant folding: exporters put Identity, Transpose, Cast and whole weight normalizations between
// a weight and its layer.

#include <cstdint>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::engine {

// Folds nodes of the model's graph and of sub-graphs, with the plain kernels. Does not fold random
// operators, operators of quantized models or other domains, nodes with sub-graphs, producers of
// graph outputs, and results that are much larger than their operands (Expand, Tile,
// ConstantOfShape). Removes constants without readers. Returns the number of removed nodes.
Result<int64_t> FoldConstants(graph::Model* model);

}  // namespace roundel::engine
