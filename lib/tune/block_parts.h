#pragma once
// The parts of a model that a walk over its blocks runs.

#include <string>
#include <vector>

#include "lib/structure/blocks.h"
#include "lib/walk/stretch.h"

namespace roundel::tune {

// The nodes outside of all blocks that blocks depend on; they depend on no layer.
walk::Stretches::Part Prelude(const graph::Graph& graph,
                              const std::vector<structure::Block>& blocks);
// Block `index`, with its targets and the values that later blocks read as outputs.
walk::Stretches::Part PartOf(const std::vector<structure::Block>& blocks, size_t index);
// Whether a block after `index` reads the value.
bool ReadAfter(const std::vector<structure::Block>& blocks, size_t index, const std::string& value);

}  // namespace roundel::tune
