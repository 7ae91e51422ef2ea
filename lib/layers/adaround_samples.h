#pragma once
// AdaRound's published objective: mini-batches of real inputs, the activation behind the layer inside
// of the loss. (On second-order sums: lib/solver/adaround.h.)

#include "lib/layers/layerwise.h"
#include "lib/solver/adaround.h"

namespace roundel::layers {

// Codes at the given parameters. Each iteration looks at `batch` columns drawn from all samples that
// were put aside for this; the same seed gives the same codes. Not for ConvTranspose.
Result<solver::Solution> AdaRoundOnSamples(const Session& session, const LayerTask& task,
                                           const solver::Params& params,
                                           const solver::AdaRoundOptions& options, int64_t batch);

}  // namespace roundel::layers
