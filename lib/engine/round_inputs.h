#pragma once
// Simulation of a runtime that rounds inputs of products (lib/graph/rounded_products.h).

#include <functional>
#include <string>
#include <vector>

#include "lib/engine/flatten.h"

namespace roundel::engine {

// Inserts a node RoundBlocks of the domain "roundel" before each product with an input that the
// runtime rounds; products with the same value and blocks share one. `graph` holds the
// initializers, `outer` finds constants of outer graphs.
void RoundInputsOfProducts(const graph::Graph& graph,
                           const std::function<const Tensor*(const std::string&)>& outer,
                           std::vector<FlatNode>* nodes);

}  // namespace roundel::engine
