#pragma once
// The gates, declared once: the section `gate` of a recipe, and flags of eval.

#include <string>

#include "cmd/options.h"
#include "lib/base/status.h"
#include "lib/eval/gates.h"
#include "lib/recipe/params.h"

namespace roundel::cmd {

const recipe::ParamSpecs& GateParams();

class GateFlags : public ParamFlags {
 public:
  GateFlags() : ParamFlags(GateParams(), "Gates") {}
};

// `seed`: of the bootstrap. Errors: kUsage if a value is no size.
Result<eval::GateLimits> LimitsOf(const recipe::Params& params, int64_t seed);

}  // namespace roundel::cmd
