#pragma once
// The layers that a sweep solves.

#include "lib/layers/layer_sweep.h"

namespace roundel::layers {

// Fills in nodes, layers, owners and declined: every layer whose weight has a grid and no codes yet
// is either solved or declined with a reason.
void FindLayers(LayerSweep& s);

// Errors: the memory does not suffice for one layer.
Status CheckMemory(const LayerSweep& s);

}  // namespace roundel::layers
