#pragma once
// Silent channels: an activation function keeps them at zero for every input. Their weights have no
// effect, but can be a thousand times larger than the others and determine the range of the tensor.
//
//   Conv1 (row ~ 0, bias < 0) -> Relu -> Conv2 (column of any size)
//
// They come from batch normalization: the channel's variance is about 0, and gamma / sqrt(0 +
// epsilon) is large.

#include <cstdint>

#include "lib/graph/channel_groups.h"

namespace roundel::graph {

// Sets the rows, biases and columns of the group's silent channels to zero. Requires: inputs of the
// producer do not exceed 1000 in magnitude. Does nothing unless the group has one producer, read
// only by a Relu or Clip(0, ..). Returns the number of channels that were not zero before.
int64_t ClearSilentChannels(Graph* graph, const ChannelGroup& group);

}  // namespace roundel::graph
