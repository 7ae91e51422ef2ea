#pragma once
// Runs the steps of a recipe over a Session: order, timing, structural checks, the check on data
// that float-equivalent passes keep the function, progress, interruption.

#include <optional>
#include <vector>

#include "lib/recipe/recipe.h"
#include "passes/pass.h"

namespace roundel::passes {

struct RunnerOptions {
  // Float-equivalent passes are checked on this many samples (0: not at all).
  int64_t verify_samples = 2;
  // Largest difference allowed, relative to the output's range.
  double verify_tolerance = 1e-4;
};

// Runs one pass. Checks that its requirements are met, that its change is structurally valid, and
// that the function is kept if the pass is float-equivalent. `session->report` is that of the pass.
Status RunPass(const PassInfo& pass, const recipe::Params& params, const RunnerOptions& options,
               Session* session);

// Appends one PassReport per step to `report`. Stops at the first error, which names the pass.
Status RunSteps(const std::vector<recipe::Step>& steps, const RunnerOptions& options,
                Session* session, report::Report* report);

}  // namespace roundel::passes
