#pragma once
// Import of quantized constants: weights, biases and operands.

#include <string>

#include "lib/targets/importing.h"

namespace roundel::target {

// Replaces a DequantizeLinear of the constant codes `stored`, named `source`, by the float constant
// that they stand for. Errors: the encoding does not fit the shape.
Status TakeConstant(Importing& s, const graph::Node& dq, const std::string& source,
                    const Tensor& stored);

// The same for a pair on the float constant `value`, named `source`.
Status TakeFloatConstant(Importing& s, const graph::Node& dq, const std::string& source,
                         const Tensor& value, quant::Encoding e);

}  // namespace roundel::target
