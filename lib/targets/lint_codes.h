#pragma once
// Operators on codes: what ONNX Runtime checks when it loads them, or when they run.

#include <vector>

#include "lib/targets/lint.h"

namespace roundel::target {

// Says nothing of other nodes, nor of what is not constant.
void LintCodes(const graph::Model& model, const graph::Node& node,
               std::vector<Violation>* violations);

}  // namespace roundel::target
