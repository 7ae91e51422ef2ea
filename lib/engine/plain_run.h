#pragma once
// Runs the plain kernel of one node.

#include <functional>
#include <vector>

#include "lib/engine/plan.h"

namespace roundel::engine {

using AllocateOutput = std::function<Result<Tensor>(DType, const Shape&)>;

// `inputs`: nullptr where left out. `outputs` has one entry per output of the node, undefined where
// the kernel gave none. The status names node, op and input shapes.
Status RunPlain(const PlanNode& node, const std::vector<const Tensor*>& inputs,
                const AllocateOutput& allocate, std::vector<Tensor>* outputs);

}  // namespace roundel::engine
