#pragma once
// A rough estimate of the work of a step from the shapes of its inputs: waking threads does not pay
// off for small steps.

#include "lib/engine/run_state.h"

namespace roundel::engine {

// False if a single thread is faster than several.
bool WorthThreads(const Plan& plan, const Step& step, const RunState& state);

}  // namespace roundel::engine
