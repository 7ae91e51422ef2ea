#pragma once
// Relu and Clip in front of a quantizer that repeats them are left out on export (absorb_relu), by this
// program and by others; without the quantizer the float model needs them again.

#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"

namespace roundel::target {

// Behind layers, sums and normalisations whose quantizer begins at zero, puts a Clip to the range of the
// quantizer, which takes over the value's name. Returns how many.
int64_t RestoreClamps(const quant::EncodingTable& encodings, graph::Model* model);

}  // namespace roundel::target
