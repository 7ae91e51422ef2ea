#pragma once
// Channels that an activation keeps at zero whatever the input: their weights have no say, but what
// training left in them can be a thousand times the others and take the range of a whole tensor.
//
//   Conv1 (row ~ 0, bias < 0) -> Relu -> Conv2 (column of any size)
//
// Batch normalisation makes such columns: the channel's variance is about 0, and gamma / sqrt(0 +
// epsilon) is large.

#include <cstdint>

#include "lib/graph/channel_groups.h"

namespace roundel::graph {

// Sets the rows, biases and columns of the group's silent channels to zero, which changes nothing
// as long as no input of the producer exceeds 1000 in magnitude; returns how many were not zero
// before. Only where Relu or Clip(0, ..) alone reads the group's one producer.
int64_t ClearSilentChannels(Graph* graph, const ChannelGroup& group);

}  // namespace roundel::graph
