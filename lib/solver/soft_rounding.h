#pragma once
// The soft weights of AdaRound, between the level below and the one above,
//
//   w^ = below + step h(V),  h(V) = clamp(1.2 sigmoid(V) - 0.1, 0, 1),
//
// with a regularizer lambda sum(1 - |2h - 1|^beta) that drives h to 0 or 1 while beta falls (Nagel
// et al., 2020, equations 22 to 25: zeta = 1.1, gamma = -0.1).

#include <cstdint>
#include <span>
#include <vector>

#include "lib/solver/solution.h"

namespace roundel::solver {

struct AdaRoundOptions {
  int iterations = 1000;
  double learning_rate = 1e-2;  // Adam, beta1 = 0.9, beta2 = 0.999
  // Weight of the regularizer; the error of each row is relative to the power of its output.
  double lambda = 0.01;
  double warm_start = 0.2;  // share of the iterations without regularizer
  double beta_start = 20, beta_end = 2;
};

// The parameters of one of options.iterations iterations.
struct AdaRoundStep {
  float lambda;      // 0 in the warm start
  float beta;        // falls along a cosine
  float rate, root;  // of Adam: learning rate / (1 - beta1^t), 1 / (1 - beta2^t)
};
AdaRoundStep AdaRoundStepAt(const AdaRoundOptions& options, int iteration);

struct SoftWeights {
  std::vector<float> rest;  // the real weight minus the value at h = 0
  std::vector<float> step;  // from there to the value at h = 1; 0 where the grid has no level above
  std::vector<int32_t> code;            // at h = 0
  std::vector<float> v, first, second;  // V and the two moments of Adam

  int64_t size() const { return static_cast<int64_t>(v.size()); }
};

// Rows [first_row, first_row + target.size() / n) of a layer; V is such that w^ is the target, as
// far as the grid allows.
SoftWeights StartSoftWeights(std::span<const float> target, int64_t n, const GridSpec& spec,
                             const Params& params, int64_t first_row);

// target - w^ for weights [begin, end).
void SoftErrors(const SoftWeights& weights, int64_t begin, int64_t end, float* error);

// One step of Adam for weights [begin, end); factor * slope[0, end - begin) is d loss / d w^.
void LearnStep(SoftWeights* weights, int64_t begin, int64_t end, const float* slope, float factor,
               const AdaRoundStep& step);

// True if h(V) is 0 or 1 and stays there for any other weights: the gradient is 0, and the
// remaining momentum points away from the other side.
bool Settled(const SoftWeights& weights, int64_t i);

// The code at h(V) rounded to 0 or 1.
inline int32_t RoundedCode(const SoftWeights& weights, int64_t i) {
  return weights.code[i] + (weights.v[i] >= 0 && weights.step[i] != 0 ? 1 : 0);
}

}  // namespace roundel::solver
