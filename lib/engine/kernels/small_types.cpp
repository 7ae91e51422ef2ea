#include "lib/engine/kernels/small_types.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "lib/base/text.h"
#include "lib/quant/encodings.h"

namespace roundel::engine {
namespace {

// A float format of at most 8 bits: magnitudes in code order, and what the special values become.
struct SmallFormat {
  std::vector<float> magnitudes;  // of the finite codes 0, 1, ...; strictly increasing
  int sign_bit;
  int nan, overflow;  // codes; `overflow` without its sign
  bool negative_zero;
};

std::vector<float> Decode(DType type, int codes) {
  Tensor tensor = Tensor::Zeros(type, {codes});
  auto* bytes = static_cast<uint8_t*>(tensor.mutable_raw());
  for (int code = 0; code < codes; ++code) {
    if (BitWidth(type) == 4)
      bytes[code / 2] |= static_cast<uint8_t>(code << (code % 2 * 4));
    else
      bytes[code] = static_cast<uint8_t>(code);
  }
  const Tensor values = tensor.ToFloat();
  const auto span = values.span<float>();
  return {span.begin(), span.end()};
}

SmallFormat FormatOf(DType type) {
  switch (type) {
    case DType::kFloat8E4M3FN:
      return {Decode(type, 0x7f), 0x80, 0x7f, 0x7f, true};
    case DType::kFloat8E4M3FNUZ:
      return {Decode(type, 0x80), 0x80, 0x80, 0x80, false};
    case DType::kFloat8E5M2:
      return {Decode(type, 0x7c), 0x80, 0x7f, 0x7c, true};
    case DType::kFloat8E5M2FNUZ:
      return {Decode(type, 0x80), 0x80, 0x80, 0x80, false};
    default:
      return {Decode(DType::kFloat4E2M1, 8), 0x8, 7, 7, true};
  }
}

// Nearest code, ties to the even one (code parity is mantissa parity).
int EncodeMagnitude(const SmallFormat& format, float magnitude, bool saturate) {
  const std::vector<float>& table = format.magnitudes;
  const auto above = std::upper_bound(table.begin(), table.end(), magnitude);
  const int low = static_cast<int>(above - table.begin()) - 1;
  const bool at_end = above == table.end();
  // Past the largest value the format goes on in the same steps, as far as rounding is concerned.
  const float step = at_end ? table.back() - table[table.size() - 2] : *above - table[low];
  const float distance = magnitude - table[low];
  const bool up = distance > step / 2 || (distance == step / 2 && low % 2 == 1);
  if (!up) return low;
  if (!at_end) return low + 1;
  return saturate ? low : format.overflow;
}

int EncodeFloat(const SmallFormat& format, float value, bool saturate) {
  if (value != value) return format.nan;
  const bool negative = std::signbit(value);
  const int code = EncodeMagnitude(format, std::fabs(value), saturate);
  if (code == format.nan) return code;
  return negative && (code != 0 || format.negative_zero) ? code | format.sign_bit : code;
}

// float8e8m0: a power of two without sign, 2^(code - 127).
int EncodePowerOfTwo(float value, const CastRules& rules) {
  constexpr int kNan = 0xff, kLast = 0xfe;
  if (!(value >= 0)) return kNan;
  if (std::isinf(value)) return rules.saturate ? kLast : kNan;
  if (value == 0) return rules.saturate ? 0 : kNan;
  int exponent = 0;
  const float fraction = std::frexp(value, &exponent);  // value = fraction * 2^exponent, >= 0.5
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
  const SmallFormat format = FormatOf(type);
  for (int64_t i = 0; i < values.size(); ++i) {
    const int code = type == DType::kFloat8E8M0 ? EncodePowerOfTwo(from[i], rules)
                                                : EncodeFloat(format, from[i], rules.saturate);
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
