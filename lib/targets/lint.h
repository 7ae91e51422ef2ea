#pragma once
// Checks a quantized model, whoever made it, against what a target wants.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/targets/profile.h"

namespace roundel::target {

struct Violation {
  std::string where;   // node or tensor
  std::string what;    // the fact
  std::string why;     // what the target makes of it
  std::string advice;  // what to do
};

struct LintResult {
  std::vector<Violation> violations;  // check by check
  // So many of the first are about single operators: a runtime refuses the model.
  size_t refused = 0;
  int64_t activations = 0, weights = 0, biases = 0;  // that have grids
};

// Reads QDQ, operators on codes and packed weights; costs little, whatever the size of the weights.
// `placed`: where its quantizers were meant to stand; nullptr: where the target wants them in
// general. kModel for models that cannot be read.
Result<LintResult> Lint(const graph::Model& model, const Profile& profile,
                        const Placement* placed = nullptr);

}  // namespace roundel::target
