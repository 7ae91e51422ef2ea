#pragma once
// Targets on which an Add after a layer runs as part of that layer (Profile::fused_adds): the sum
// is added in the layer's accumulator, so that no quantizer may be between the two.

#include <optional>
#include <string>

#include "lib/graph/graph.h"

namespace roundel::target {

// The operand of a residual Add that is the output of the layer that computes it, and stays float.
// If both branches end in a layer, it is the longer branch: the shorter one is the skip connection.
// nullopt: no branch ends in a layer, or an operand is constant (a bias, which needs no pair).
std::optional<size_t> FusedOperand(const graph::Graph& g, const graph::Node& add);

// The reason why an Add needs no pair; "" if its skip connection needs one.
std::string FusedAddProblem(const graph::Graph& g, const graph::Node& add);

}  // namespace roundel::target
