#pragma once
// Lint of the com.microsoft operators that hold packed weights.

#include <vector>

#include "lib/targets/lint.h"

namespace roundel::target {

// Adds what is wrong with a MatMulNBits or GatherBlockQuantized; nothing for other nodes. Weights,
// scales and zero points that are not constant are not looked at.
void LintPacked(const graph::Graph& graph, const graph::Node& node, const Profile& profile,
                std::vector<Violation>* violations);

}  // namespace roundel::target
