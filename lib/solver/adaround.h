#pragma once
// AdaRound (Nagel et al., 2020) on the quadratic form: whether each weight is rounded down or up is
// learnt by gradient descent, w^ = s clamp(floor(w*/s) + h(V)), h = clamp(sigmoid(V) 1.2 - 0.1, 0,
// 1), with a regulariser lambda sum(1 - |2h - 1|^beta) that drives h to 0 or 1 as beta falls from
// 20 to 2. The error of the output is the exact mean over all calibration data instead of a batch
// of images, so that hundreds of steps replace tens of thousands. An activation behind the layer is
// not seen.

#include "lib/solver/solution.h"

namespace roundel::solver {

struct AdaRoundOptions {
  int iterations = 1000;
  double learning_rate = 1e-2;  // Adam, beta1 = 0.9, beta2 = 0.999
  // Weight of the regulariser, with the error of each row relative to the power of its output.
  double lambda = 0.01;
  double warm_start = 0.2;  // share of the iterations without regulariser
  double beta_start = 20, beta_end = 2;
};

// The soft rounding h(V) = clamp(kSoftStretch sigmoid(V) + kSoftOffset, 0, 1): zeta - gamma and gamma of
// the paper.
inline constexpr float kSoftStretch = 1.2f, kSoftOffset = -0.1f;

// What iteration `iteration` of options.iterations works with.
struct AdaRoundStep {
  double lambda;      // 0 in the warm start
  double beta;        // falls along a cosine
  double rate, root;  // of Adam: learning rate / (1 - beta1^t), 1 / (1 - beta2^t)
};
AdaRoundStep AdaRoundStepAt(const AdaRoundOptions& options, int iteration);

// Codes at the given parameters: floor(w*/s) or one more, clamped to the grid. Deterministic, no
// random numbers. Cost: 2 m n^2 per iteration.
Solution AdaRound(Layer layer, const GridSpec& spec, const Params& params,
                  const AdaRoundOptions& options = {});

}  // namespace roundel::solver
