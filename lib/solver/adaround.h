#pragma once
// AdaRound (Nagel et al., 2020) on the quadratic form: whether each weight is rounded down or up is
// learnt by gradient descent on soft weights (soft_rounding.h). The error of the output is the exact
// mean over all calibration data instead of a batch of images. An activation behind the layer is not
// seen.

#include "lib/solver/soft_rounding.h"

namespace roundel::solver {

// Codes at the given parameters: floor(w*/s) or one more, clamped to the grid. Deterministic, no
// random numbers. Cost: up to m n^2 products per iteration; a weight whose rounding is settled takes
// no more part, so that about a third of that is done. Interrupted: codes of what was learnt so far.
// Layers in low rank (low_rank.h) get the codes of Ldlq and CoordinateDescent instead.
Solution AdaRound(Layer layer, const GridSpec& spec, const Params& params,
                  const AdaRoundOptions& options = {});

}  // namespace roundel::solver
