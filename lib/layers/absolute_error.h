#pragma once
// Scales for the least absolute error of a layer's output, which no sums tell: from the columns
// themselves. (The squared error is in lib/solver/scales.h.)

#include "lib/layers/solve_layer.h"

namespace roundel::layers {

// Among `candidates` shares of the range, for each channel (block, tensor), the one with the least mean
// |w^ x - y|, rounding to nearest. y is the float model's output if `options.problem.asymmetric`, else
// w x. Blocks are judged one by one, against w x of their own columns. Reads task.inputs.
Result<solver::Params> LeastAbsoluteError(const LayerTask& task, StatisticsOptions statistics,
                                          bool asymmetric, int candidates);

}  // namespace roundel::layers
