#pragma once
// Groups of values that can be scaled channel by channel without changing the result of the
// graph.
//
// The operators f between a layer that produces channels and the layers that consume them satisfy
// f(s x) = s f(x) for s > 0: Relu, pooling, residual Add ... All values that such operators connect
// form a group. Dividing the producers' output channels by s and multiplying the consumers' input
// channels by s is exact if the group is closed: no other node writes or reads it.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/graph/layer.h"

namespace roundel::graph {

struct ChannelConsumer {
  WeightedLayer layer;
  int64_t repeat = 1;  // inputs per channel: more than 1 after a Flatten
};

struct ChannelGroup {
  int64_t channels = 0;
  std::vector<WeightedLayer> producers;
  std::vector<ChannelConsumer> consumers;
  // Clip(0, high) nodes: not homogeneous, but equal to Relu followed by Min(x, high / s).
  std::vector<Node*> clips;
  // Min(x, constant): the constant must be divided by s too. It holds one value, or one per channel
  // (shape [1, C, 1, ..]).
  std::vector<Node*> bounds;
  // The reason why the group is not closed; "" if it can be scaled.
  std::string blocked;
};

struct ChannelGroupOptions {
  bool through_clips = true;     // false: a Clip with a finite bound other than 0 blocks its group
  bool through_branches = true;  // false: an Add of two values blocks its group
};

// The groups of all layer outputs, in the order of their first producers.
std::vector<ChannelGroup> FindChannelGroups(const Graph& graph, int64_t opset,
                                            const ChannelGroupOptions& options = {});

}  // namespace roundel::graph
