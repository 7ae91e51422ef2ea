#pragma once
// Layers that an optimiser has fused with their neighbours into operators of com.microsoft, as ONNX's
// own operators again: passes and placement know those, and runtimes fuse them by themselves.

#include "lib/graph/graph.h"

namespace roundel::graph {

// FusedConv, FusedGemm, and FusedMatMul by a constant matrix, in bodies, too. Values keep their names.
// Those in another form (a transposed input, batches of weights) stay.
void UnfuseLayers(Model* model);

}  // namespace roundel::graph
