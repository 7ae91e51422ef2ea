#pragma once
// Tables of embeddings as parts of blocks.

#include <vector>

#include "lib/graph/graph.h"
#include "lib/quant/encodings.h"
#include "lib/structure/blocks.h"

namespace roundel::tune {

// A lookup in a constant table with an encoding becomes part of the block that reads it, as one of its
// layers, if no other block does: the block's input is then the index. structure::FindBlocks leaves
// such nodes outside, since they multiply nothing.
void JoinTables(const graph::Graph& graph, const quant::EncodingTable& encodings,
                std::vector<structure::Block>* blocks);

}  // namespace roundel::tune
