#pragma once
// Operators that only quantized models have.

#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

// QuantizeLinear and its kin, operators on codes, and what other tools write instead of them.
bool IsQuantizationOp(const Node& node);

// Their names in the model, sub-graphs and functions included, the most frequent first: "QLinearConv".
std::vector<std::string> QuantizationOps(const Model& model);

}  // namespace roundel::graph
