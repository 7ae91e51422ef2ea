#pragma once
// Runs a plain kernel of the default domain inside another: fused operators and operators in other
// layouts are compositions of existing kernels.

#include <vector>

#include "lib/base/status.h"
#include "lib/ops/op.h"

namespace roundel::engine {

// The outputs of `type` (newest version of the operator set) with the attributes of `attributes`.
// Undefined inputs are absent.
Result<std::vector<Tensor>> RunInner(const char* type, const std::vector<Tensor>& inputs,
                                     const graph::Node& attributes = {}, size_t outputs = 1);

// The same for an operator with one output.
Result<Tensor> RunInnerOp(const char* type, const std::vector<Tensor>& inputs,
                          const graph::Node& attributes = {});

// [N, spatial..., C] <-> [N, C, spatial...]
Result<Tensor> ToChannelsFirst(const Tensor& x);
Result<Tensor> ToChannelsLast(const Tensor& x);

// Input `i`, undefined if it is absent.
Tensor InputOrNone(const OpContext& context, size_t i);

// A node that has only these attributes.
graph::Node WithAttributes(std::vector<std::pair<const char*, graph::Attribute::Value>> attributes);

}  // namespace roundel::engine
