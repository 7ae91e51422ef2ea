#pragma once
// Nodes that compute from constants alone become constants: exporters put Identity, Transpose, Cast and
// whole weight normalisations between a weight and its layer.

#include <cstdint>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::engine {

// In the model's graph and in sub-graphs, by the plain kernels. Left as they are: random operators,
// those of quantized models, of other domains, with sub-graphs, what makes an output of its graph, and what
// would be much larger than the constants that it comes from (Expand, Tile, ConstantOfShape). Constants that
// nothing reads any more go. Returns the number of nodes that are gone.
Result<int64_t> FoldConstants(graph::Model* model);

}  // namespace roundel::engine
