#pragma once
// Whether a model is a quantized one, whoever made it.

#include <string>

#include "lib/graph/graph.h"

namespace roundel::target {

// The name of the first operator that reads, makes or holds codes, in sub-graphs and functions as
// well; "" if all of the model is float.
std::string QuantizedOperator(const graph::Model& model);

}  // namespace roundel::target
