#pragma once
// Targets on which an Add behind a layer runs as part of that layer (Profile::fused_adds): the sum
// joins the layer's accumulator, so that nothing may stand between the two.

#include <optional>
#include <string>

#include "lib/graph/graph.h"

namespace roundel::target {

// The operand of a residual Add that comes from the layer it runs in, and stays float. Where both
// branches end in a layer it is the longer branch: the shorter one is the skip connection. nullopt:
// no branch does, or an operand is constant (a bias, which needs no pair at all).
std::optional<size_t> FusedOperand(const graph::Graph& g, const graph::Node& add);

// Why an Add needs no pair of its own; "" if its skip connection does.
std::string FusedAddProblem(const graph::Graph& g, const graph::Node& add);

}  // namespace roundel::target
