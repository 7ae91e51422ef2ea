#pragma once
// Points of the flow that all data pass, and the regions between them.

#include <vector>

#include "lib/structure/flow.h"

namespace roundel::structure {

// A region is what a node (its entry) dominates, without what the next such node dominates. All
// that depends on an entry is dominated by it: data enter a region through its entry alone.
struct Region {
  int entry = Flow::kNone;  // kNone: the graph's inputs
  int parent = Flow::kNone;
  int children = 0;
  size_t begin = 0, end = 0;  // its nodes in the order
};

struct Regions {
  std::vector<int> order;       // the core, topologically; each region in one piece
  std::vector<size_t> region;   // of each element of `order`
  std::vector<Region> regions;  // parents first
};

Regions FindRegions(const Flow& flow);

// The immediate dominators of a graph with edges from lower to higher numbers, by its predecessors;
// those of nodes without predecessors are kNone.
std::vector<int> ImmediateDominators(const std::vector<std::vector<int>>& from);

}  // namespace roundel::structure
