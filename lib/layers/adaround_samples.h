#pragma once
// AdaRound with its published objective: mini-batches of real inputs, and the activation function
// after the layer inside the loss. (On the Gram matrix: lib/solver/adaround.h.)

#include "lib/layers/layerwise.h"
#include "lib/solver/adaround.h"

namespace roundel::layers {

// Codes for the given scales. Each iteration uses `batch` columns drawn from all stored samples.
// The same seed gives the same codes. Requires: not a ConvTranspose.
Result<solver::Solution> AdaRoundOnSamples(const Session& session, const LayerTask& task,
                                           const solver::Params& params,
                                           const solver::AdaRoundOptions& options, int64_t batch);

}  // namespace roundel::layers
