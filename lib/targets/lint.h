#pragma once
// Checks a quantized model, made by any tool, against the rules of a target.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/targets/profile.h"

namespace roundel::target {

struct Violation {
  std::string rule;    // which kind of rule: one of LintRules()
  std::string where;   // node or tensor
  std::string what;    // the fact
  std::string why;     // the consequence on the target
  std::string advice;  // what to do
};

struct LintRule {
  const char* id;
  const char* text;  // what the rule asks for
};
const std::vector<LintRule>& LintRules();

struct LintResult {
  std::vector<Violation> violations;  // check by check
  // Number of first violations that concern single operators: a runtime rejects the model.
  size_t refused = 0;
  int64_t activations = 0, weights = 0, biases = 0;  // that have grids
};

// Reads QDQ, operators on codes and packed weights. The cost does not depend on the size of the
// weights. `placed`: the intended placement; nullptr: the target's default placement. Errors:
// kModel for models that cannot be read.
Result<LintResult> Lint(const graph::Model& model, const Profile& profile,
                        const Placement* placed = nullptr);

}  // namespace roundel::target
