#pragma once
// The start of a block: codes of its layers by a layer-wise solver, on the inputs that these layers
// really get, behind blocks that have learned.

#include "lib/layers/layerwise.h"
#include "lib/structure/blocks.h"
#include "lib/walk/streams.h"

namespace roundel::tune {

// Solves those layers of the block that `solver` has, in their order, and calls `solved` after each:
// the encodings of the streams must then have the new codes. `streams`: have the block's inputs;
// further values are added.
Status SolveBlock(const graph::Graph& graph, const structure::Block& block,
                  const walk::Stretches::Part& part, walk::Streams& streams,
                  layers::LayerSolver& solver, const std::function<void()>& solved);

}  // namespace roundel::tune
