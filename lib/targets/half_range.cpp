#include "lib/targets/half_range.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "lib/graph/operators.h"
#include "lib/graph/widen.h"
#include "lib/tensor/half.h"

namespace roundel::target {
namespace {

using graph::Node;

// Epsilons have few elements; a tiny value among many weights is negligible.
constexpr int64_t kFew = 16;

float Rounded(float value, DType type) {
  if (type == DType::kFloat16) return HalfToFloat(FloatToHalf(value));
  return type == DType::kBfloat16 ? Bfloat16ToFloat(FloatToBfloat16(value)) : value;
}

// Bits of the significand.
int Digits(DType type) { return type == DType::kFloat16 ? 11 : type == DType::kBfloat16 ? 8 : 24; }

}  // namespace

float LargestOf(DType type) {
  return type == DType::kFloat16    ? kLargestHalf
         : type == DType::kBfloat16 ? kLargestBfloat16
                                    : std::numeric_limits<float>::max();
}

float SmallestNormalOf(DType type) {
  return type == DType::kFloat16 ? 0x1p-14f : std::numeric_limits<float>::min();
}

HalfFit FitOf(const Node& node, const Tensor& value, DType type) {
  if (!graph::IsHalf(type)) return HalfFit::kFits;
  const float largest = LargestOf(type);
  bool beyond = false, vanishes = false;
  for (const float x : value.span<float>()) {
    const float size = std::fabs(x);
    if (size > largest && !std::isinf(x)) {
      if (size < kStandsForInfinity) return HalfFit::kTooLarge;
      beyond = true;
    }
    vanishes |= x != 0 && Rounded(x, type) == 0;
  }
  if (beyond)
    return graph::Has(node, graph::Fact::kMaskOperand) ? HalfFit::kClamps : HalfFit::kTooLarge;
  return vanishes && value.size() <= kFew ? HalfFit::kVanishes : HalfFit::kFits;
}

Tensor ClampedTo(const Node& reader, const Tensor& value, DType type) {
  if (!graph::IsHalf(type)) return value.FromFloatTo(type);
  const float largest = LargestOf(type);
  const auto beyond = [largest](float x) { return std::fabs(x) > largest && !std::isinf(x); };
  const auto values = value.span<float>();
  if (std::none_of(values.begin(), values.end(), beyond)) return value.FromFloatTo(type);
  const bool bound = graph::Has(reader, graph::Fact::kBounds);
  Tensor clamped = Tensor::Empty(DType::kFloat, value.shape());
  std::transform(values.begin(), values.end(), clamped.mutable_data<float>(), [&](float x) {
    if (!beyond(x)) return x;
    const bool infinite = std::fabs(x) >= kStandsForInfinity && !bound;
    return std::copysign(infinite ? largest / 2 : largest, x);
  });
  return clamped.FromFloatTo(type);
}

bool ScalesFit(std::span<const float> scales, int bits, DType type) {
  const double tolerance = std::ldexp(1.0, -std::min(bits + 1, Digits(type)));
  return std::all_of(scales.begin(), scales.end(), [&](float scale) {
    const float rounded = Rounded(scale, type);
    return std::isfinite(rounded) && rounded != 0 &&
           std::fabs(static_cast<double>(rounded) - scale) <= tolerance * std::fabs(scale);
  });
}

}  // namespace roundel::target
