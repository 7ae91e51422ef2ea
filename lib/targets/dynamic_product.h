#pragma once
// Matrix products and convolutions with dynamic quantization.

#include "lib/targets/dynamic_writing.h"

namespace roundel::target {

// Writes a MatMul, Gemm or Conv as MatMulInteger or ConvInteger, with scales and bias after the
// integer sum. False, and nothing written, if the encoding of the weight does not allow it.
bool WriteProductLayer(DynamicWriting& s, const graph::Node& node);

}  // namespace roundel::target
