#pragma once
// Rewrites chains of nodes that are one activation function to one operator: targets quantize that.

#include <cstdint>

#include "lib/graph/graph.h"

namespace roundel::graph {

// Rewrites in the model's graph and its sub-graphs, for constants of one element:
//
//   Max(x, a * x) with a <= 1, Where(x > 0, x, a * x), PRelu(x, a), Relu(x) - a * Relu(-x)
//                                                                        LeakyRelu(x)
//   Max(x, 0)                                                            Relu(x)
//   Min(Relu(x), c), Max(Min(x, c), 0)                                   Clip(x, 0, c)
//
// A chain is kept if another node reads a value inside it. Returns the number of rewritten chains.
int64_t RewriteActivationIdioms(Model* model);

}  // namespace roundel::graph
