#pragma once
// The best that this room can do in seconds: several starts (LDLQ in several orders with scales
// chosen for it, nearest with its own best scale), of which each row keeps the best; polishing;
// exact search for depthwise kernels; and, with held-out data, the last word on each row.

#include "lib/solver/solution.h"

namespace roundel::solver {

struct OptimalOptions {
  // 1: one order, no pairs of codes; 2: the default; 3: all orders and candidates, and learnt
  // rounding of the widest layers too.
  int effort = 2;
};

struct OptimalResult {
  Solution solution;
  // What was compared, [rows] each: rounding to nearest with SeqMSE's scales, and the solution, on
  // the calibration data (`errors` of a Solution) ...
  std::vector<double> nearest_errors;
  // ... and OutputErrors on the held-out data; empty without any.
  std::vector<double> held_out_nearest, held_out;
  int64_t kept_nearest = 0;  // rows that stay with nearest, as held-out data demands
  int64_t proven = 0;        // rows whose codes are proven to be the best at their scale
};

// `held_out`: empty, or one Objective per group, from other samples than the Problems are. On them
// no row (kTensor: not the layer) is worse than with nearest.
OptimalResult Optimal(Layer layer, const GridSpec& spec, const OptimalOptions& options = {},
                      std::span<const Objective> held_out = {});

}  // namespace roundel::solver
