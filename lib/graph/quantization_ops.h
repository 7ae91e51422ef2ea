#pragma once
// Operators that only quantized models have.

#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

// QuantizeLinear and related operators, operators on codes, and their equivalents from other tools.
bool IsQuantizationOp(const Node& node);

// Their names in the model, including sub-graphs and functions, most frequent first: "QLinearConv".
std::vector<std::string> QuantizationOps(const Model& model);

}  // namespace roundel::graph
