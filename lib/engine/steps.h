#pragma once
// Groups nodes into steps, each of which one fast kernel computes.

#include <vector>

#include "lib/engine/plan.h"

namespace roundel::engine {

// Cuts plan->nodes into steps (units without kernels): in fast mode, chains that one kernel can
// compute become one step. `fused` receives, by step, what the kernel has to compute.
std::vector<Step> MakeSteps(const Plan& plan, bool fuse, std::vector<KernelSpec>* specs);
// The spec of a kernel for a single node.
KernelSpec SingleSpec(const Plan& plan, int node);

}  // namespace roundel::engine
