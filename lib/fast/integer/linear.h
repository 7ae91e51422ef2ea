#pragma once
// The requirements for Conv, Gemm and MatMul on codes: 8-bit constant weights with zero point 0, an
// int32 bias on the grid of the sums, and input and result on 8-bit per-tensor grids.

#include <optional>
#include <vector>

#include "lib/fast/fast_kernel.h"
#include "lib/fast/integer/requantize.h"

namespace roundel::engine {

// Whether this machine sums products of bytes in 32 bits without intermediate saturation.
bool HasExactDotProduct();

struct IntegerLinear {
  Tensor weights;  // int8 codes, in the model's order
  const quant::Encoding* source = nullptr;
  const quant::Encoding* result = nullptr;
  // Its bias includes the source's zero point: bias - zero_point * sum(weights).
  Requantizer requantizer;
  // All partial sums, in any order, are integers that float represents exactly.
  bool exact_in_float = false;

  // nullopt if the unit does not meet the requirements. `channel_axis`: the axis of output channels
  // in the weights.
  static std::optional<IntegerLinear> Of(const KernelSpec& spec, int64_t channel_axis);
};

}  // namespace roundel::engine
