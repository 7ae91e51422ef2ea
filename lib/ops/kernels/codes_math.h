#pragma once
// Helpers of the plain operators on 8-bit codes: operands minus their zero points, exact sums of
// products, and requantization.

#include <vector>

#include "lib/base/status.h"
#include "lib/ops/op.h"
#include "lib/quant/grid.h"

namespace roundel::engine {

Status RequireCodes(const Tensor& x, const char* what);

// codes - zero point, as floats (exact). The zero point, input `i`, is absent, one value, or one
// per index of `axis`.
Result<Tensor> Shifted(const OpContext& context, const Tensor& codes, size_t i, int64_t axis);

// The value of a wrapping 32-bit accumulator.
inline int32_t ToInt32(double sum) {
  return static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(sum)));
}

// Sums of (a - zero) * (b - zero), exact in float64.
struct ExactProduct {
  Shape shape;
  Tensor sums;  // float64
};
// Of inputs `a` and `b`, whose zero points are inputs `a_zero` and `b_zero`.
Result<ExactProduct> MultiplyCodes(const OpContext& context, size_t a, size_t a_zero, size_t b,
                                   size_t b_zero);

// Floats of the same shape: sum * (a_scale * b_scale[column]) + bias[column]. kModel unless there
// is one scale or one per column, and a bias (or nullptr) per column.
Result<Tensor> ScaledSums(const ExactProduct& product, float a_scale, const Tensor& b_scale,
                          const Tensor* bias, int64_t columns);

// The grid of DynamicQuantizeLinear: uint8 over the range of x, extended to contain 0.
quant::QParams DynamicParams(const float* x, int64_t n);

// Requantization: clamp(round(sum * (scale_a * scale_b / scale_y)) + zero_y), the formula of
// lib/fast/integer/requantize.h.
struct CodeWriter {
  std::vector<float> factors;  // one, or one per channel
  DType type = DType::kUint8;
  int32_t zero_point = 0, low = 0, high = 255;

  void Store(double sum, int64_t channel, void* to, int64_t i) const {
    const float factor = factors[factors.size() == 1 ? 0 : channel];
    StoreScaled(static_cast<float>(sum) * factor, to, i);
  }
  // `steps`: the value divided by the scale of the result.
  void StoreScaled(float steps, void* to, int64_t i) const {
    const int32_t code = quant::Quantize(steps, {1.0f, zero_point}, low, high);
    if (type == DType::kInt8)
      static_cast<int8_t*>(to)[i] = static_cast<int8_t>(code);
    else
      static_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(code);
  }
};

// Inputs: scales of both operands and of y, zero point of y. `channels`: the maximum number of
// scales of b.
Result<CodeWriter> ResolveWriter(const OpContext& context, size_t a_scale, size_t b_scale,
                                 size_t y_scale, size_t y_zero, int64_t channels);

// Scale (input `scale`) and zero point (input `scale + 1`, optional) of a per-tensor grid of
// `type`, int8 or uint8.
Result<quant::QParams> TensorParams(const OpContext& context, size_t scale, DType type);

// The full grid of int8 or uint8.
inline quant::Grid GridOf(DType type) { return {8, type == DType::kInt8}; }

}  // namespace roundel::engine
