#pragma once
// AdaRound (Nagel et al., 2020) on the quadratic form: gradient descent on soft weights learns
// whether each weight is rounded down or up (soft_rounding.h). The output error is the exact mean
// over the calibration set, from the Gram matrix. An activation function after the layer is
// ignored.

#include "lib/solver/soft_rounding.h"

namespace roundel::solver {

// Codes for the given scales: floor(w*/s) or one more, clamped to the grid. Deterministic, without
// random numbers. Cost: up to m n^2 products per iteration; settled weights are skipped, so that
// about a third of that is computed. If interrupted, it returns the codes learned so far. Low-rank
// layers (low_rank.h) get the codes of Ldlq and CoordinateDescent instead.
Solution AdaRound(Layer layer, const GridSpec& spec, const Params& params,
                  const AdaRoundOptions& options = {});

}  // namespace roundel::solver
