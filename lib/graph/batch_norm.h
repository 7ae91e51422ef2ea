#pragma once
// BatchNormalization in inference.

#include <string>

#include "lib/graph/graph.h"

namespace roundel::graph {

// The reason why the BatchNormalization `node` is not one multiplication and addition per channel
// with constants, or "".
std::string BatchNormObstacle(const Graph& graph, int64_t opset, const Node& node);

}  // namespace roundel::graph
