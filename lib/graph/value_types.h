#pragma once
// Element types of values, as far as they can be told without running the model. The table of what
// each operator makes is kept here for every operator that the engine can run.

#include <string>
#include <unordered_map>

#include "lib/graph/graph.h"

namespace roundel::graph {

// Of all tensors, those inside of sub-graphs included. Declarations and initializers come first;
// the outputs of other nodes follow from the operator, those of control flow from the bodies. An
// input of unknown type takes that of the others where the operator wants one type for all. Values
// of which nothing is known (behind custom operators) are absent, and so are sequences.
std::unordered_map<std::string, DType> InferValueTypes(const Model& model);

// Whether the table has the operator; those of ONNX itself that it does not name make what their
// first input is.
bool HasTypeRule(const std::string& domain, const std::string& op_type);

}  // namespace roundel::graph
