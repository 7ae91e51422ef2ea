#pragma once
// Rounding to nearest.

#include "lib/solver/solution.h"

namespace roundel::solver {

// quant::Quantize of the *target* weights w* with the given parameters.
Solution RoundNearest(Layer layer, const GridSpec& spec, const Params& params);

}  // namespace roundel::solver
