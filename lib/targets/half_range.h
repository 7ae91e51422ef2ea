#pragma once
// What float32 numbers become in 16 bits.

#include <span>

#include "lib/graph/graph.h"

namespace roundel::target {

// Largest finite number of a type with 16 bits or more, and the smallest that has all its digits.
float LargestOf(DType type);
float SmallestNormalOf(DType type);

// Numbers of this size stand for infinity: masks of attention, bounds that bound nothing.
inline constexpr float kStandsForInfinity = 1e6f;

enum class HalfFit {
  kFits,
  kClamps,  // only numbers that stand for infinity are beyond the type
  kTooLarge,
  kVanishes,  // a number that is not 0 would become 0, of few that matter: an epsilon
};
// The constant `value` as an operand of `node`.
HalfFit FitOf(const graph::Node& node, const Tensor& value, DType type);

// float32 -> type. What is too large becomes the largest number; what stands for infinity the half
// of it, so that two masks may be added, unless the reader is a bound.
Tensor ClampedTo(const graph::Node& reader, const Tensor& value, DType type);

// Whether scales for codes of so many bits keep what they say in `type`: they move no code's value
// by more than about a quarter of a step, or the type itself is as coarse.
bool ScalesFit(std::span<const float> scales, int bits, DType type);

}  // namespace roundel::target
