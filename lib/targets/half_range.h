#pragma once
// Conversion of float32 numbers to 16-bit types.

#include <span>

#include "lib/graph/graph.h"

namespace roundel::target {

// Largest finite number of a type with 16 bits or more, and the smallest that has all its digits.
float LargestOf(DType type);
float SmallestNormalOf(DType type);

// Numbers of this size represent infinity: attention masks, bounds without effect.
inline constexpr float kStandsForInfinity = 1e6f;

enum class HalfFit {
  kFits,
  kClamps,  // only numbers that represent infinity exceed the type
  kTooLarge,
  kVanishes,  // a non-zero number of few, such as an epsilon, would become 0
};
// The constant `value` as an operand of `node`.
HalfFit FitOf(const graph::Node& node, const Tensor& value, DType type);

// float32 -> type. Too large numbers saturate. Numbers that represent infinity become half of the
// largest number, so that two masks can be added, unless the reader uses them as a bound.
Tensor ClampedTo(const graph::Node& reader, const Tensor& value, DType type);

// Whether scales for codes of `bits` bits are accurate enough in `type`: they change the value of a
// code by at most about a quarter of a step, or the type itself is as coarse.
bool ScalesFit(std::span<const float> scales, int bits, DType type);

}  // namespace roundel::target
