#include "lib/base/vectorize.h"
ROUNDEL_FAST_LOOPS

#include "lib/solver/soft_rounding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "lib/solver/levels.h"

namespace roundel::solver {
namespace {

constexpr float kStretch = 1.2f, kOffset = -0.1f;  // zeta - gamma, gamma
// Beyond this distance from 0, h(V) is 0 or 1: log((kStretch - 0.1) / 0.1), and a little more.
constexpr float kSaturated = 2.3979f;

// 2^x and log2(x) by polynomials, because calls of library functions prevent vectorization;
// relative error about 1e-5, absolute 1e-4.
inline float Exp2(float x) {
  x = x > -120.0f ? x : -120.0f;
  x = x < 120.0f ? x : 120.0f;
  const float whole = __builtin_floorf(x), f = x - whole;
  const float p =
      1.0f + f * (0.69315307f +
                  f * (0.24015361f + f * (0.055826318f + f * 0.008989389f * (1 + 0.2086f * f))));
  const auto exponent = (static_cast<int32_t>(whole) + 127) << 23;
  return p * std::bit_cast<float>(exponent);
}
inline float Log2(float x) {  // x > 0, normal
  const auto bits = std::bit_cast<int32_t>(x);
  const auto exponent = static_cast<float>((bits >> 23) - 127);
  const float f = std::bit_cast<float>((bits & 0x7fffff) | 0x3f800000) - 1.0f;
  const float p =
      f * (1.4419599f + f * (-0.7096554f + f * (0.4175986f + f * (-0.1995f + f * 0.0496f))));
  return exponent + p;
}

inline float Sigmoid(float v) { return 1.0f / (1.0f + Exp2(-1.44269504f * v)); }
inline float Clamp01(float h) {
  h = h > 0.0f ? h : 0.0f;
  return h < 1.0f ? h : 1.0f;
}

ROUNDEL_VECTORIZE_FUSED
void Errors(int64_t n, const float* v, const float* rest, const float* step, float* error) {
  for (int64_t j = 0; j < n; ++j)
    error[j] = rest[j] - step[j] * Clamp01(Sigmoid(v[j]) * kStretch + kOffset);
}

// Without a regularizer, as in the warm start, its power is not computed.
ROUNDEL_VECTORIZE_FUSED
void Learn(int64_t n, const float* slope, const float* grid_step, float factor, AdaRoundStep step,
           float* v, float* first, float* second) {
  const bool regular = step.lambda > 0;
  for (int64_t j = 0; j < n; ++j) {
    const float sigmoid = Sigmoid(v[j]);
    const float stretched = sigmoid * kStretch + kOffset;
    const float inner =
        stretched > 0.0f && stretched < 1.0f ? kStretch * sigmoid * (1.0f - sigmoid) : 0.0f;
    float down = factor * slope[j] * grid_step[j];
    if (regular) {
      const float centered = 2.0f * Clamp01(stretched) - 1.0f;
      float size = centered > 0.0f ? centered : -centered;
      size = size > 1e-12f ? size : 1e-12f;
      const float pull = 2.0f * step.beta * Exp2((step.beta - 1.0f) * Log2(size));
      down -= step.lambda * (centered > 0.0f ? pull : -pull);
    }
    const float gradient = inner * down;
    first[j] = 0.9f * first[j] + 0.1f * gradient;
    second[j] = 0.999f * second[j] + 0.001f * gradient * gradient;
    v[j] -= step.rate * first[j] / (__builtin_sqrtf(second[j] * step.root) + 1e-8f);
  }
}

}  // namespace

AdaRoundStep AdaRoundStepAt(const AdaRoundOptions& options, int iteration) {
  const double share = static_cast<double>(iteration) / std::max(1, options.iterations);
  const bool warm = share < options.warm_start;
  const double fall = warm ? 0 : (share - options.warm_start) / (1 - options.warm_start);
  const double beta = options.beta_end + (options.beta_start - options.beta_end) * 0.5 *
                                             (1 + std::cos(std::numbers::pi * fall));
  return {.lambda = static_cast<float>(warm ? 0.0 : options.lambda),
          .beta = static_cast<float>(beta),
          .rate = static_cast<float>(options.learning_rate / (1 - std::pow(0.9, iteration + 1))),
          .root = static_cast<float>(1 / (1 - std::pow(0.999, iteration + 1)))};
}

SoftWeights StartSoftWeights(std::span<const float> target, int64_t n, const GridSpec& spec,
                             const Params& params, int64_t first_row) {
  SoftWeights soft;
  soft.first.resize(target.size());
  soft.second.resize(target.size());
  for (size_t i = 0; i < target.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i) / n, column = static_cast<int64_t>(i) % n;
    const quant::QParams& p = params[spec.ParamIndex(first_row + row, column, n)];
    const Levels levels = LevelsOf(p, spec.grid);
    const float x = target[i] / levels.scale, floor = std::floor(x);
    const float below = std::clamp(floor, levels.low, levels.high);
    const bool inside = floor >= levels.low && floor < levels.high;
    soft.rest.push_back(target[i] - below * levels.scale);
    soft.step.push_back(inside ? levels.scale : 0.0f);
    soft.code.push_back(CodeOf(below, p));
    // Soft rounding starts without any error.
    const double h = std::clamp(static_cast<double>(x - floor), 1e-3, 1 - 1e-3);
    soft.v.push_back(static_cast<float>(-std::log(double{kStretch} / (h - double{kOffset}) - 1)));
  }
  return soft;
}

void SoftErrors(const SoftWeights& weights, int64_t begin, int64_t end, float* error) {
  Errors(end - begin, weights.v.data() + begin, weights.rest.data() + begin,
         weights.step.data() + begin, error);
}

void LearnStep(SoftWeights* weights, int64_t begin, int64_t end, const float* slope, float factor,
               const AdaRoundStep& step) {
  Learn(end - begin, slope, weights->step.data() + begin, factor, step, weights->v.data() + begin,
        weights->first.data() + begin, weights->second.data() + begin);
}

bool Settled(const SoftWeights& weights, int64_t i) {
  const float v = weights.v[i], first = weights.first[i];
  return weights.step[i] == 0 || (v > kSaturated && first <= 0) || (v < -kSaturated && first >= 0);
}

}  // namespace roundel::solver
