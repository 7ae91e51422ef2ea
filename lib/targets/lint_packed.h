#pragma once
// Lint of the com.microsoft operators that hold packed weights.

#include <vector>

#include "lib/targets/lint.h"

namespace roundel::target {

// Adds violations of a MatMulNBits or GatherBlockQuantized. Ignores other nodes, and weights,
// scales and zero points that are not constant.
void LintPacked(const graph::Graph& graph, const graph::Node& node, const Profile& profile,
                std::vector<Violation>* violations);

}  // namespace roundel::target
