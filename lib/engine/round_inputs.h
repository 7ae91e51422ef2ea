#pragma once
// Simulation of a runtime that rounds inputs of products (lib/graph/rounded_products.h).

#include <functional>
#include <string>
#include <vector>

#include "lib/engine/flatten.h"

namespace roundel::engine {

// Puts a node RoundBlocks of the domain "roundel" in front of each product whose input the runtime
// rounds; products that read the same value in the same blocks share one. `graph` holds the
// initializers, `outer` finds the constants of the graphs around it.
void RoundInputsOfProducts(const graph::Graph& graph,
                           const std::function<const Tensor*(const std::string&)>& outer,
                           std::vector<FlatNode>* nodes);

}  // namespace roundel::engine
