#pragma once
// Statistics of layers, in particular of those that share their weights.

#include "lib/layers/layer_sweep.h"

namespace roundel::layers {

// Whether other layers have the weights that are solved at this one.
bool IsShared(const LayerSweep& s, const SweepLayer& layer);

UnfoldedLayer Unfolded(const LayerSweep& s, const SweepLayer& layer);

// The statistics of one layer. The sums of layers that share weights are added up, so that all are
// of one kind.
Result<LayerStatistics> GatherOf(const LayerSweep& s, const SweepLayer& layer,
                                 const walk::LayerInputs& inputs);

// Weights of several layers are solved at the first of them, on the sums of all. Gathers the sums
// of the others from the float model.
Status GatherOfSharers(LayerSweep& s);

void AddStatistics(LayerStatistics more, LayerStatistics* sum);

}  // namespace roundel::layers
