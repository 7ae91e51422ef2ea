#pragma once
// Export (absorb_relu), here and in other tools, drops a Relu or Clip before a quantizer that
// clamps equally. Without the quantizer the float model needs it again.

#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"

namespace roundel::target {

// Inserts a Clip to the quantizer's range after layers, sums and normalizations with a quantizer
// that starts at zero; the Clip's output takes over the name. Returns the number of Clips.
int64_t RestoreClamps(const quant::EncodingTable& encodings, graph::Model* model);

}  // namespace roundel::target
