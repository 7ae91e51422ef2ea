#pragma once

#include <vector>

#include "lib/engine/flatten.h"

namespace roundel::engine {

// Rewrites operators on codes with constant grids to float operators between quantizers. `opset`:
// the model's ai.onnx opset.
void UnfoldCodeOperators(const graph::Graph& graph, int64_t opset, std::vector<FlatNode>* nodes);

}  // namespace roundel::engine
