#pragma once
// The forms of OmniQuant (Shao et al. 2023).

#include <map>
#include <string>
#include <vector>

#include "lib/tune/channel_scales.h"
#include "lib/tune/form.h"

namespace roundel::tune {

// What has become of the scales: their logarithms, by the name of the learned tensor.
using KeptScales = std::map<std::string, Tensor>;

struct ClippingSettings {
  double rate = 1e-2;
  double start = 4;  // of u and l
};

// Learned clipping: the grid of each row or block of the weight w spans
//
//   [min(0, min w) sigmoid(l), max(0, max w) sigmoid(u)]
//
// on symmetric grids what its longer side needs. Codes are the nearest ones; rounding passes
// gradients straight through. `scales` multiply the weight before. Keeps the encoding, and with
// scales the multiplied weight and, in `kept`, these. Requires: WhyNoClipping(encoding) is "".
FormPtr MakeClippingForm(const std::string& value, const Tensor& weight,
                         const quant::Encoding& encoding, const ClippingSettings& settings,
                         std::vector<ChannelScale> scales = {}, KeptScales* kept = nullptr);
// "" or the reason why the range of such an encoding cannot be learned.
std::string WhyNoClipping(const quant::Encoding& encoding);

// A float constant with scales alone: the gain of a norm, a bias. `layer`: whose bias it is; nullptr
// if it is none. Requires: the layer's graph outlives the form.
FormPtr MakeScaledForm(const std::string& value, const Tensor& constant,
                       std::vector<ChannelScale> scales, const graph::WeightedLayer* layer);

}  // namespace roundel::tune
