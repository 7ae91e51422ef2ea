#pragma once
// Import of QuantizeLinear -> DequantizeLinear pairs of activations.

#include <string>

#include "lib/targets/importing.h"

namespace roundel::target {

// Whether `q` and all DQs that read its codes form pairs that an encoding can express. Otherwise
// `q` stays in the model.
bool TakeQuantize(Importing& s, const graph::Node& q);

// Replaces `dq`, the second node of a pair on `raw`, by an encoding `e`.
void TakeActivation(Importing& s, const graph::Node& dq, const std::string& raw,
                    const quant::Encoding& e);

}  // namespace roundel::target
