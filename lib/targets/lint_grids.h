#pragma once
// Checks of the grids of a model's values against those that its target takes.

#include <vector>

#include "lib/targets/lint.h"
#include "lib/targets/qdq.h"

namespace roundel::target {

// `floats`: what ImportQdq made of the model.
void LintGrids(const FloatModel& floats, const Profile& profile,
               std::vector<Violation>* violations);

}  // namespace roundel::target
