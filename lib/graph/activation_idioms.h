#pragma once
// Activations that exporters spell out. Targets have integer kernels for an operator, not for a chain.

#include <cstdint>

#include "lib/graph/graph.h"

namespace roundel::graph {

// In the model's graph and its sub-graphs, for constants of one element:
//
//   Max(x, a * x) with a <= 1, Where(x > 0, x, a * x), PRelu(x, a), Relu(x) - a * Relu(-x)
//                                                                        LeakyRelu(x)
//   Max(x, 0)                                                            Relu(x)
//   Min(Relu(x), c), Max(Min(x, c), 0)                                   Clip(x, 0, c)
//
// Values between that something else reads, too, leave the chain as it is. Returns the number of chains.
int64_t RewriteActivationIdioms(Model* model);

}  // namespace roundel::graph
