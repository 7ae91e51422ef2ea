#pragma once
// Where a chain of regions is cut into blocks.

#include <string>
#include <vector>

#include "lib/structure/blocks.h"
#include "lib/structure/regions.h"

namespace roundel::structure {

struct Piece {
  std::vector<int> nodes;  // topologically
  std::string boundary;    // Block::boundary
};

// Regions where each but the last has the next one as its only child.
struct Chain {
  size_t first = 0, last = 0;
  bool starts = false;  // the network's first layer is in it
  bool ends = false;    // its last layer is the network's
  // By position in Regions::order: the last layer on a way to the node if no gradient passes the
  // node; and how many values computed before it are read from there on.
  const std::vector<int>& barriers;
  const std::vector<int>& live;
};

// The whole chain in order. Pieces without a layer occur where a gradient demands a cut.
std::vector<Piece> CutChain(const Flow& flow, const Regions& regions, const BlockOptions& options,
                            const Chain& chain);

}  // namespace roundel::structure
