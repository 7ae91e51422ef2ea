#pragma once
// exp, tanh, erf and the logistic function in float arithmetic without branches, so that loops over
// them vectorize (those of the C library are calls). The relative error is below 2e-7, that of erf
// below 4e-7; tests/lib/engine/kernels_vector_math_test.cpp checks this.
//
// Files with loops over them start with `#pragma GCC optimize("O3", "no-trapping-math")`: otherwise
// GCC keeps the selections below as branches, to preserve floating-point traps, which nothing
// enables.

#include <bit>
#include <cmath>
#include <cstdint>

namespace roundel::engine {

// exp(x) = 2^n exp(r), |r| <= ln(2) / 2, exp(r) by its Taylor polynomial of degree 7.
inline float ExpFloat(float x) {
  constexpr float kLog2E = 1.44269504088896341f;
  // ln 2 in two parts: the first has few bits, so that n * kLn2High is exact.
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  // Beyond these limits the result is infinite or zero; NaN passes both comparisons.
  const float raised = x < -104.0f ? -104.0f : x;
  const float c = raised > 89.0f ? 89.0f : raised;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const float n = (c * kLog2E + kRound) - kRound;
  const float r = (c - n * kLn2High) - n * kLn2Low;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // 2^n as two factors, because n exceeds the exponent range of float on both sides.
  const auto whole = static_cast<int32_t>(n == n ? n : 0.0f);
  const int32_t half = whole >> 1;
  const auto power = [](int32_t e) {
    return std::bit_cast<float>(static_cast<uint32_t>(e + 127) << 23);
  };
  return p * power(half) * power(whole - half);
}

// 1 / (1 + exp(-x)), from exp(-|x|), which does not overflow.
inline float LogisticFloat(float x) {
  const float e = ExpFloat(-std::fabs(x));
  const float numerator = x >= 0.0f ? 1.0f : e;
  return numerator / (1.0f + e);
}

// Small |x|: the Taylor series; else 1 - 2 / (exp(2|x|) + 1) with the sign of x.
inline float TanhFloat(float x) {
  const float a = std::fabs(x), s = x * x;
  float p = 21844.0f / 6081075;
  p = p * s - 1382.0f / 155925;
  p = p * s + 62.0f / 2835;
  p = p * s - 17.0f / 315;
  p = p * s + 2.0f / 15;
  p = p * s - 1.0f / 3;
  const float small = x + x * s * p;
  const float large = std::copysign(1.0f - 2.0f / (ExpFloat(2.0f * a) + 1.0f), x);
  return a < 0.5f ? small : large;
}

// Small |x|: the Taylor series; else Abramowitz and Stegun 7.1.26, |error| <= 1.5e-7.
inline float ErfFloat(float x) {
  const float a = std::fabs(x), s = x * x;
  constexpr float kTwoOverRootPi = 1.12837916709551257f;
  float p = 1.0f / 685440;
  p = p * s - 1.0f / 75600;
  p = p * s + 1.0f / 9360;
  p = p * s - 1.0f / 1320;
  p = p * s + 1.0f / 216;
  p = p * s - 1.0f / 42;
  p = p * s + 1.0f / 10;
  p = p * s - 1.0f / 3;
  const float small = kTwoOverRootPi * (x + x * s * p);
  const float t = 1.0f / (1.0f + 0.3275911f * a);
  float q = 1.061405429f;
  q = q * t - 1.453152027f;
  q = q * t + 1.421413741f;
  q = q * t - 0.284496736f;
  q = q * t + 0.254829592f;
  const float large = std::copysign(1.0f - q * t * ExpFloat(-s), x);
  return a < 1.0f ? small : large;
}

}  // namespace roundel::engine
