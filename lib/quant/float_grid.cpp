// Vectorizes the loop of FakeQuantizeFloats; -O2 does not if the count is unknown.
#pragma GCC optimize("O3")
#include "lib/quant/float_grid.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"
#include "lib/tensor/half.h"

namespace roundel::quant {
namespace {

constexpr int64_t kGrain = 1 << 14;
constexpr int kFloatBias = 127, kFloatMantissa = 23;  // of float32

// Rounds a magnitude to the nearest number of the format, without an upper limit. The unit in the
// last place is a power of two, so that only the rounding itself rounds.
inline __attribute__((always_inline)) float RoundMagnitude(float magnitude, int mantissa_bits,
                                                           int min_exponent) {
  const auto own = static_cast<int32_t>(std::bit_cast<uint32_t>(magnitude) >> kFloatMantissa);
  const int32_t least = min_exponent + kFloatBias;
  const int32_t unit = (own > least ? own : least) - mantissa_bits;  // biased exponent
  const float step = std::bit_cast<float>(static_cast<uint32_t>(unit) << kFloatMantissa);
  const float inverse =
      std::bit_cast<float>(static_cast<uint32_t>(2 * kFloatBias - unit) << kFloatMantissa);
  return __builtin_nearbyintf(magnitude * inverse) * step;
}

// Infinity is not representable in this arithmetic; twice the largest number rounds in the same
// way.
inline __attribute__((always_inline)) float Bounded(float magnitude, float max) {
  return magnitude > 2 * max ? 2 * max : magnitude;
}

// `nan`: the result for NaN.
ROUNDEL_VECTORIZE
void FakeQuantizeChunk(const float* from, float* to, int64_t n, float scale, int mantissa_bits,
                       int min_exponent, float max, float nan) {
  for (int64_t i = 0; i < n; ++i) {
    const float quotient = from[i] / scale;
    const float x = quotient == quotient ? quotient : nan;
    const float magnitude = Bounded(__builtin_fabsf(x), max);
    float q = RoundMagnitude(magnitude, mantissa_bits, min_exponent);
    q = q > max ? max : q;
    to[i] = __builtin_copysignf(q, x) * scale;
  }
}

uint16_t Word(float value, GridKind kind) {
  return kind == GridKind::kFloat16 ? FloatToHalf(value) : FloatToBfloat16(value);
}
float FromWord(uint16_t word, GridKind kind) {
  return kind == GridKind::kFloat16 ? HalfToFloat(word) : Bfloat16ToFloat(word);
}

}  // namespace

const FloatFormat& FormatOf(DType type) {
  static constexpr FloatFormat kE4M3FN{3, -6, 448, 0x80, 0x7f, 0x7f, true};
  static constexpr FloatFormat kE4M3FNUZ{3, -7, 240, 0x80, 0x80, 0x80, false};
  static constexpr FloatFormat kE5M2{2, -14, 57344, 0x80, 0x7f, 0x7c, true};
  static constexpr FloatFormat kE5M2FNUZ{2, -15, 57344, 0x80, 0x80, 0x80, false};
  static constexpr FloatFormat kE2M1{1, 0, 6, 0x8, 7, 7, true};
  switch (type) {
    case DType::kFloat8E4M3FN: return kE4M3FN;
    case DType::kFloat8E4M3FNUZ: return kE4M3FNUZ;
    case DType::kFloat8E5M2: return kE5M2;
    case DType::kFloat8E5M2FNUZ: return kE5M2FNUZ;
    case DType::kFloat4E2M1: return kE2M1;
    default: INVARIANT(false, "no small float: " + DTypeName(type));
  }
}

int EncodeFloat(const FloatFormat& format, float value, bool saturate) {
  if (value != value) return format.nan;
  const float rounded = RoundMagnitude(Bounded(std::fabs(value), format.max), format.mantissa_bits,
                                       format.min_exponent);
  const float magnitude = std::min(rounded, format.max);
  // Normal numbers keep exponent and leading mantissa; below them the code counts steps from zero.
  const bool normal = magnitude >= std::ldexp(1.0f, format.min_exponent);
  const uint32_t leading =
      std::bit_cast<uint32_t>(magnitude) >> (kFloatMantissa - format.mantissa_bits);
  int code =
      normal ? static_cast<int>(leading) -
                   ((format.min_exponent + kFloatBias - 1) << format.mantissa_bits)
             : static_cast<int>(std::ldexp(magnitude, format.mantissa_bits - format.min_exponent));
  if (rounded > format.max && !saturate) code = format.overflow;
  if (code == format.nan && code >= format.sign_bit) return code;  // has no sign
  return std::signbit(value) && (code != 0 || format.negative_zero) ? code | format.sign_bit : code;
}

DType FloatType(GridKind kind) {
  switch (kind) {
    case GridKind::kFloat8E4M3FN: return DType::kFloat8E4M3FN;
    case GridKind::kFloat8E5M2: return DType::kFloat8E5M2;
    case GridKind::kFloat4E2M1: return DType::kFloat4E2M1;
    case GridKind::kFloat16: return DType::kFloat16;
    case GridKind::kBfloat16: return DType::kBfloat16;
    default: INVARIANT(false, "no grid of floats");
  }
}

float LargestFloat(const Grid& grid) {
  if (grid.kind == GridKind::kFloat16) return kLargestHalf;
  if (grid.kind == GridKind::kBfloat16) return kLargestBfloat16;
  return FormatOf(FloatType(grid.kind)).max;
}

float FloatScale(double magnitude, const Grid& grid) {
  if (!grid.has_scale()) return 1;
  const double max = LargestFloat(grid), scale = magnitude / max;
  if (!(scale >= std::numeric_limits<float>::min())) return 1;
  if (grid.scales != ScaleKind::kPowerOfTwo) {
    const auto rounded = static_cast<float>(scale);
    return std::isfinite(rounded * LargestFloat(grid)) ? rounded : std::nextafter(rounded, 0.0f);
  }
  const int exponent = std::ilogb(magnitude) - std::ilogb(max);
  return std::ldexp(1.0f, std::clamp(exponent, -126, 127));
}

const std::vector<float>& GridLevels(const Grid& grid) {
  const auto numbers = [](GridKind kind) {
    const FloatFormat& format = FormatOf(FloatType(kind));
    const int codes = EncodeFloat(format, format.max, true) + 1;
    Tensor bytes = Tensor::Empty(DType::kUint8, {codes});
    std::iota(bytes.mutable_data<uint8_t>(), bytes.mutable_data<uint8_t>() + codes, uint8_t{0});
    const Tensor positive = DecodeFloats(bytes, kind);
    std::vector<float> levels;
    for (int code = codes - 1; code > 0; --code) levels.push_back(-positive.data<float>()[code]);
    levels.insert(levels.end(), positive.data<float>(), positive.data<float>() + codes);
    return levels;
  };
  static const std::vector<float> kE4M3 = numbers(GridKind::kFloat8E4M3FN),
                                  kE5M2 = numbers(GridKind::kFloat8E5M2),
                                  kE2M1 = numbers(GridKind::kFloat4E2M1), kSigns = {-1, 1};
  switch (grid.kind) {
    case GridKind::kFloat8E4M3FN: return kE4M3;
    case GridKind::kFloat8E5M2: return kE5M2;
    case GridKind::kFloat4E2M1: return kE2M1;
    case GridKind::kBinary: return kSigns;
    default: INVARIANT(false, "levels of " + grid.Name());
  }
}

void EncodeFloats(const float* from, int64_t n, float scale, GridKind kind, void* to) {
  const DType type = FloatType(kind);
  if (BitWidth(type) == 16) {
    auto* words = static_cast<uint16_t*>(to);
    for (int64_t i = 0; i < n; ++i) words[i] = Word(from[i], kind);
    return;
  }
  const FloatFormat& format = FormatOf(type);
  auto* bytes = static_cast<uint8_t*>(to);
  for (int64_t i = 0; i < n; ++i)
    bytes[i] = static_cast<uint8_t>(EncodeFloat(format, from[i] / scale, true));
}

Tensor DecodeFloats(const Tensor& codes, GridKind kind) {
  const DType type = FloatType(kind);
  if (BitWidth(type) == 4) {
    // Two codes per byte, each of the 16 decoded once.
    static const Tensor table =
        Tensor::FromBytes(DType::kFloat4E2M1, {16},
                          std::string("\x10\x32\x54\x76\x98\xba\xdc\xfe", 8))
            .ToFloat();
    Tensor numbers = Tensor::Empty(DType::kFloat, codes.shape());
    const auto* from = static_cast<const uint8_t*>(codes.raw());
    float* to = numbers.mutable_data<float>();
    for (int64_t i = 0; i < codes.size(); ++i) to[i] = table.data<float>()[from[i] & 0xf];
    return numbers;
  }
  Tensor typed = Tensor::FromBytes(
      type, codes.shape(),
      std::string(static_cast<const char*>(codes.raw()), static_cast<size_t>(codes.byte_size())));
  return typed.ToFloat();
}

void FakeQuantizeFloats(const float* from, float* to, int64_t n, float scale, GridKind kind) {
  ParallelFor(n, kGrain, [&](int64_t begin, int64_t end) {
    if (kind == GridKind::kFloat16 || kind == GridKind::kBfloat16) {
      for (int64_t i = begin; i < end; ++i) to[i] = FromWord(Word(from[i], kind), kind);
      return;
    }
    const FloatFormat& f = FormatOf(FloatType(kind));
    const float nan =
        kind == GridKind::kFloat4E2M1 ? f.max : std::numeric_limits<float>::quiet_NaN();
    FakeQuantizeChunk(from + begin, to + begin, end - begin, scale, f.mantissa_bits, f.min_exponent,
                      f.max, nan);
  });
}

}  // namespace roundel::quant
