#pragma once
// Chains of nodes through which a constant c per channel moves from the output of one layer to the
// layers that read it: f(x + c) = f(x) + c for every node between them, but for at most one
// activation function and one bound per channel, which come first.

#include <string>
#include <vector>

#include "lib/graph/channel_groups.h"
#include "lib/graph/graph.h"
#include "lib/graph/layer.h"

namespace roundel::graph {

// A layer, the nodes after it, and the layers that read the result.
struct ShiftChain {
  WeightedLayer first;
  bool activated = false;
  Node* bound = nullptr;  // Min(x, constant per channel)
  bool spatial = false;   // a node requires the channels on axis 1
  bool flattens = false;
  std::vector<ChannelConsumer> consumers;
};

// Follows the output of `chain->first` to the layers that read it; returns the reason if that
// fails, else "".
std::string FollowChain(const Graph& graph, ShiftChain* chain);

}  // namespace roundel::graph
