#pragma once
// Inference of element types without running the model. The table covers every operator that the
// engine can run.

#include <string>
#include <unordered_map>

#include "lib/graph/graph.h"

namespace roundel::graph {

// The types of all tensors, including those in sub-graphs. Declarations and initializers take
// precedence; other types follow from the producing operator, and those of control flow from its
// bodies. An input of unknown type has the type of the others if the operator requires one type for
// all. Values of unknown type (after custom operators) and sequences are absent.
std::unordered_map<std::string, DType> InferValueTypes(const Model& model);

// Whether the table has the operator. ONNX operators without an entry have the type of their first
// input.
bool HasTypeRule(const std::string& domain, const std::string& op_type);

}  // namespace roundel::graph
