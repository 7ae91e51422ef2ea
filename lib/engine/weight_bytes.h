#pragma once
// The memory of packed weights of another executor of the same model.

#include <cstdint>

#include "lib/graph/graph.h"

namespace roundel::engine {

// Bytes of the initializers of the graph and of its sub-graphs.
int64_t WeightBytes(const graph::Graph& graph);

}  // namespace roundel::engine
