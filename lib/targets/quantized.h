#pragma once
// Detects quantized models, made by any tool.

#include <string>

#include "lib/graph/graph.h"

namespace roundel::target {

// The name of the first operator that reads, writes or holds codes, also in sub-graphs and
// functions; "" if the whole model is float.
std::string QuantizedOperator(const graph::Model& model);

}  // namespace roundel::target
