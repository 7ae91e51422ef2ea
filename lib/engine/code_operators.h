#pragma once

#include <vector>

#include "lib/engine/flatten.h"

namespace roundel::engine {

// Operators on codes with constant grids become operators on floats between quantizers. `opset`: of
// the model's ai.onnx operators.
void UnfoldCodeOperators(const graph::Graph& graph, int64_t opset, std::vector<FlatNode>* nodes);

}  // namespace roundel::engine
