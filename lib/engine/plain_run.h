#pragma once
// Runs the plain kernel of one node.

#include <functional>
#include <vector>

#include "lib/engine/plan.h"
#include "lib/tensor/datum.h"

namespace roundel::engine {

using AllocateOutput = std::function<Result<Tensor>(DType, const Shape&)>;

// At most one of the two is set; neither: absent, or an empty optional.
struct PlainInput {
  PlainInput(const Tensor* value) : tensor(value) {}  // NOLINT: implicit on purpose
  PlainInput(const Tensor* value, const SequencePtr* list) : tensor(value), items(list) {}
  const Tensor* tensor = nullptr;
  const SequencePtr* items = nullptr;
};

// `inputs` follow node.inputs, captured ones included. `outputs` has one entry per output of the
// node, empty if the kernel did not set it. Errors name node, op and input shapes.
Status RunPlain(const PlanNode& node, const std::vector<PlainInput>& inputs,
                const AllocateOutput& allocate, std::vector<Datum>* outputs);

}  // namespace roundel::engine
