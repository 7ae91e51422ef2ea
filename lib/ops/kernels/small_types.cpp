#include "lib/ops/kernels/small_types.h"

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/quant/encodings.h"
#include "lib/quant/float_grid.h"

namespace roundel::engine {
namespace {

// float8e8m0: a power of two without sign, 2^(code - 127).
int EncodePowerOfTwo(float value, const CastRules& rules) {
  constexpr int kNan = 0xff, kLast = 0xfe;
  if (!(value >= 0)) return kNan;
  if (std::isinf(value)) return rules.saturate ? kLast : kNan;
  if (value == 0) return rules.saturate ? 0 : kNan;
  int exponent = 0;
  // value = fraction * 2^exponent, fraction >= 0.5
  const float fraction = std::frexp(value, &exponent);
  const bool up = rules.rounding == CastRules::kUp        ? fraction > 0.5f
                  : rules.rounding == CastRules::kNearest ? fraction >= 0.75f
                                                          : false;
  const int code = exponent - 1 + 127 + (up ? 1 : 0);
  if (code >= 0 && code <= kLast) return code;
  return rules.saturate ? std::clamp(code, 0, kLast) : kNan;
}

Tensor PackFloats(const Tensor& values, DType type, const CastRules& rules) {
  Tensor packed = Tensor::Zeros(type, values.shape());
  auto* bytes = static_cast<uint8_t*>(packed.mutable_raw());
  const float* from = values.data<float>();
  for (int64_t i = 0; i < values.size(); ++i) {
    const int code = type == DType::kFloat8E8M0
                         ? EncodePowerOfTwo(from[i], rules)
                         : quant::EncodeFloat(quant::FormatOf(type), from[i], rules.saturate);
    if (type == DType::kFloat4E2M1)
      bytes[i / 2] |= static_cast<uint8_t>(code << (i % 2 * 4));
    else
      bytes[i] = static_cast<uint8_t>(code);
  }
  return packed;
}

Tensor PackIntegers(const Tensor& values, DType type) {
  Tensor packed = Tensor::Zeros(type, values.shape());
  auto* bytes = static_cast<uint8_t*>(packed.mutable_raw());
  const int64_t* from = values.data<int64_t>();
  const int bits = BitWidth(type), per_byte = 8 / bits;
  for (int64_t i = 0; i < values.size(); ++i) {
    const auto code = static_cast<unsigned>(from[i] & ((1 << bits) - 1));
    bytes[i / per_byte] |= static_cast<uint8_t>(code << (i % per_byte * bits));
  }
  return packed;
}

}  // namespace

bool IsSmallType(DType type) {
  return (IsFloating(type) && BitWidth(type) <= 8) || (IsInteger(type) && BitWidth(type) < 8);
}

Result<Tensor> ToWholeBytes(const Tensor& x) {
  if (!IsFloating(x.dtype()) && !IsInteger(x.dtype()) && x.dtype() != DType::kBool)
    return ModelError(StrCat("element type ", DTypeName(x.dtype()), " is not a number"));
  if (!IsSmallType(x.dtype())) return x;
  return IsFloating(x.dtype()) ? x.ToFloat() : quant::UnpackCodes(x);
}

Result<Tensor> FromWholeBytes(const Tensor& values, DType type, const CastRules& rules) {
  INVARIANT(IsSmallType(type), DTypeName(type));
  return IsFloating(type) ? PackFloats(values, type, rules) : PackIntegers(values, type);
}

}  // namespace roundel::engine
