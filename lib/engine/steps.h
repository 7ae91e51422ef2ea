#pragma once
// From nodes to steps: which of them one fast kernel computes together.

#include <vector>

#include "lib/engine/plan.h"

namespace roundel::engine {

// Cuts plan->nodes into steps (units without kernels): in fast mode, chains that one kernel can
// compute become one step. `fused` receives, by step, what the kernel has to compute.
std::vector<Step> MakeSteps(const Plan& plan, bool fuse, std::vector<KernelSpec>* specs);
// What a kernel for one node alone has to compute.
KernelSpec SingleSpec(const Plan& plan, int node);

}  // namespace roundel::engine
