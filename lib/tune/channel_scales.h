#pragma once
// Scales of channels that several values of a block share: what divides the results of a layer or
// norm, multiplies the weights of the layers that read them. Values are learned as logarithms.

#include <span>
#include <string>
#include <vector>

#include "lib/tune/nodes.h"
#include "lib/tune/optimizer.h"

namespace roundel::tune {

// How one value takes part: it is multiplied by exp(+-learned[channel]).
struct ChannelScale {
  Learned logarithms;  // one per channel
  Tensor channel;      // int64, broadcast to the value: the channel of each element
  bool divides = false;
};

// `value` with all scales, as nodes.
std::string EmitScaled(Nodes* nodes, const std::string& value,
                       const std::vector<ChannelScale>& scales);
// The same of a float32 tensor. `logarithms`: one tensor per scale.
Tensor Scaled(const Tensor& value, const std::vector<ChannelScale>& scales,
              std::span<const Tensor> logarithms);

}  // namespace roundel::tune
