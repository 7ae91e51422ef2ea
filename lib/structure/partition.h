#pragma once
// The core of a network in pieces, from chain to chain of regions.

#include <vector>

#include "lib/structure/chain.h"

namespace roundel::structure {

// The core in pieces with at least one layer each, in order. Nodes before the region of the first
// layer are left out.
std::vector<Piece> Partition(const Flow& flow, const Regions& regions, const BlockOptions& options);

}  // namespace roundel::structure
