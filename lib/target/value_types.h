#pragma once
// Element types of the values of the main graph, as far as they can be told without running it.

#include <string>
#include <unordered_map>

#include "lib/graph/graph.h"

namespace roundel::target {

// Graph inputs, initializers and value_info say; the outputs of other nodes follow from the
// operator. Values of unknown type (custom operators, undeclared control flow) are absent.
std::unordered_map<std::string, DType> InferValueTypes(const graph::Model& model);

}  // namespace roundel::target
