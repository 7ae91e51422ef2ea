#pragma once
// Checks the positions of the quantizers of a model against the target's.

#include <vector>

#include "lib/targets/lint.h"
#include "lib/targets/qdq.h"

namespace roundel::target {

// `floats`: the result of ImportQdq on `model`. `placed`: as for Lint.
Status LintPlacement(const graph::Model& model, const FloatModel& floats, const Profile& profile,
                     const Placement* placed, std::vector<Violation>* violations);

}  // namespace roundel::target
