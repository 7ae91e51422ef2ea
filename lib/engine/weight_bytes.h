#pragma once
// What a further executor of the same model has to pack anew.

#include <cstdint>

#include "lib/graph/graph.h"

namespace roundel::engine {

// Bytes of the initializers of the graph and of those nested in it.
int64_t WeightBytes(const graph::Graph& graph);

}  // namespace roundel::engine
