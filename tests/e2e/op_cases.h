#pragma once
// Compares this engine with ONNX Runtime on the graphs of tests/support/op_cases.

#include <string>
#include <vector>

#include "tests/support/op_case.h"

namespace roundel::e2e {

// Checks that both give the same, all cases in one process of the runtime.
void CheckOps(const std::string& group, const std::vector<OpCase>& cases);

}  // namespace roundel::e2e
