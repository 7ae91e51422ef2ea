#pragma once
// Lint of operators on codes: the checks that ONNX Runtime makes when it loads or runs them.

#include <vector>

#include "lib/targets/lint.h"

namespace roundel::target {

// Ignores other nodes, and parameters that are not constant.
void LintCodes(const graph::Model& model, const graph::Node& node,
               std::vector<Violation>* violations);

}  // namespace roundel::target
