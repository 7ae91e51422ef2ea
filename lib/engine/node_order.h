#pragma once
// The nodes that run, and their order.

#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/status.h"
#include "lib/engine/flatten.h"

namespace roundel::engine {

struct NodeOrder {
  std::vector<size_t> nodes;                  // indices
  std::unordered_map<std::string, int> uses;  // of values, by those nodes
};

// Value -> index of the node that makes it; kModel if two do.
Result<std::unordered_map<std::string, size_t>> Producers(const std::vector<FlatNode>& nodes);

// The nodes that `roots` depend on, in file order where that is valid. Errors: kModel for a
// cycle.
Result<NodeOrder> OrderNodes(const std::vector<FlatNode>& nodes,
                             const std::unordered_map<std::string, size_t>& producers,
                             const std::vector<std::string>& roots);

}  // namespace roundel::engine
