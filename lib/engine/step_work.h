#pragma once
// How much a step has to do, roughly, from the shapes of what it reads: threads are not worth waking
// for little.

#include "lib/engine/run_state.h"

namespace roundel::engine {

// False if one thread does the step sooner than several could agree on how to share it.
bool WorthThreads(const Plan& plan, const Step& step, const RunState& state);

}  // namespace roundel::engine
