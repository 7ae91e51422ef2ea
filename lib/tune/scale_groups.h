#pragma once
// Scale groups: what makes channels (a layer, the gain of a norm) and the layers that read them. If
// all constants that make channel c are divided by s_c, and what the readers multiply channel c with
// is multiplied by s_c, the model computes the same, for any s > 0.
//
// Groups are found in two steps. The graph says where channels go, up to the layers that read them.
// Then the nodes between are run twice, on random values, with constants that differ by s: the ratio
// of both results at a reader's input must be one of the s_c on each of its channels. It tells which
// channel of the group this is, however the nodes between move, repeat or select channels (heads of
// attention, Flatten), and proves that they are homogeneous. lib/graph/channel_groups knows groups of
// convolutions without a run, for passes without data.

#include <optional>
#include <string>
#include <vector>

#include "lib/graph/layer.h"
#include "lib/tensor/tensor.h"

namespace roundel::tune {

// A constant that makes or reads channels.
struct GroupMember {
  std::string value;
  // int64, broadcast to the value: the channel of each element.
  Tensor channel;
  std::optional<size_t> layer;  // of weights and biases: the position of the layer's node
  bool is_bias = false;
};

struct ScaleGroup {
  std::string name;  // of the node that makes the channels
  int64_t channels = 0;
  std::vector<GroupMember> makers;   // divided by the scales
  std::vector<GroupMember> readers;  // multiplied: weights of layers
};

// The groups of a model whose constants are read by one node each. `inputs`: one sample. Errors:
// those of running the model.
Result<std::vector<ScaleGroup>> FindScaleGroups(const graph::Model& model,
                                                const std::vector<Tensor>& inputs);

}  // namespace roundel::tune
