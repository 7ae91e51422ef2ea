#pragma once
// Scales for the least absolute error of a layer's output. The Gram matrix does not determine it,
// so that it is computed from the columns. (For the squared error see lib/solver/scales.h.)

#include "lib/layers/solve_layer.h"

namespace roundel::layers {

// Among `candidates` shares of the range, for each channel (block, tensor), the one with the least
// mean |w^ x - y|, rounding to nearest. y is the float model's output if
// `options.problem.asymmetric`, else w x. Blocks are judged separately, against their own w x.
// Reads task.inputs.
Result<solver::Params> LeastAbsoluteError(const LayerTask& task, StatisticsOptions statistics,
                                          bool asymmetric, int candidates);

}  // namespace roundel::layers
