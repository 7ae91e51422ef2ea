#pragma once
// The best solution that these solvers find in seconds: several starts (LDLQ in several orders with
// scales chosen for it, nearest with its best scale), of which each row keeps the best; polishing;
// exact search for depthwise kernels; and, if there is held-out data, a final choice per row on it.

#include "lib/solver/solution.h"

namespace roundel::solver {

struct OptimalOptions {
  // 1: one order, no pair moves; 2: the default; 3: all orders and candidates, and AdaRound on the
  // widest layers too.
  int effort = 2;
};

struct OptimalResult {
  Solution solution;
  // The errors of rounding to nearest with SeqMSE's scales, [rows]: on the calibration set (those
  // of the solution are Solution::errors) ...
  std::vector<double> nearest_errors;
  // ... and OutputErrors of both on the held-out data; empty without held-out data.
  std::vector<double> held_out_nearest, held_out;
  int64_t kept_nearest = 0;  // rows rounded to nearest, because that is better on held-out data
  int64_t proven = 0;        // rows with codes that are proven optimal at their scale
};

// `held_out`: empty, or one Objective per group, from other samples than those of the Problems.
// Ensures: on these no row (kTensor: not the layer) is worse than rounding to nearest.
OptimalResult Optimal(Layer layer, const GridSpec& spec, const OptimalOptions& options = {},
                      std::span<const Objective> held_out = {});

}  // namespace roundel::solver
