#pragma once
// Checks of where the quantizers of a model stand, beside where its target wants them.

#include <vector>

#include "lib/targets/lint.h"
#include "lib/targets/qdq.h"

namespace roundel::target {

// `floats`: what ImportQdq made of `model`. `placed`: as for Lint.
Status LintPlacement(const graph::Model& model, const FloatModel& floats, const Profile& profile,
                     const Placement* placed, std::vector<Violation>* violations);

}  // namespace roundel::target
