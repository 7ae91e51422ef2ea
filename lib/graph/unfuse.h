#pragma once
// Splits layers that an optimizer has fused into com.microsoft operators into standard ONNX
// operators. Passes and placement support only these, and runtimes fuse them again.

#include "lib/graph/graph.h"

namespace roundel::graph {

// Splits FusedConv, FusedGemm, and FusedMatMul with a constant matrix, also in bodies. Values keep
// their names. Other forms (a transposed input, batches of weights) are kept.
void UnfuseLayers(Model* model);

}  // namespace roundel::graph
