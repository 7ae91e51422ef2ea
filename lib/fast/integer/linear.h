#pragma once
// What Conv, Gemm and MatMul need to run on codes: 8-bit constant weights with zero point 0, an
// int32 bias on the grid of the sums, 8-bit activations per tensor on either side.

#include <optional>
#include <vector>

#include "lib/fast/fast_kernel.h"
#include "lib/fast/integer/requantize.h"

namespace roundel::engine {

// Whether this machine adds up products of bytes in 32 bits without saturating on the way.
bool HasExactDotProduct();

struct IntegerLinear {
  Tensor weights;  // int8 codes, as the model has them
  const quant::Encoding* source = nullptr;
  const quant::Encoding* result = nullptr;
  // Its bias takes the source's zero point into account: bias - zero_point * sum(weights).
  Requantizer requantizer;
  // All sums, on whatever way to them, are integers that a float holds exactly.
  bool exact_in_float = false;

  // nullopt if the unit is not of that kind. `channel_axis`: of the output channels in the weights.
  static std::optional<IntegerLinear> Of(const KernelSpec& spec, int64_t channel_axis);
};

}  // namespace roundel::engine
