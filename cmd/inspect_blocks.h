#pragma once
// The part of `inspect` that shows blocks (lib/structure/blocks.h).

#include <ostream>
#include <vector>

#include <nlohmann/json.hpp>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/structure/blocks.h"

namespace roundel::cmd {

struct BlockListing {
  graph::Model model;  // in normal form; the blocks name its nodes and values
  std::vector<structure::Block> blocks;
  size_t layers = 0;
};

Result<BlockListing> ListBlocks(const graph::Model& model, int64_t max_layers);
nlohmann::ordered_json BlocksToJson(const BlockListing& listing);
void PrintBlocks(const BlockListing& listing, std::ostream& out);

}  // namespace roundel::cmd
