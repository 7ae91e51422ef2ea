#pragma once
// Per-channel gains and offsets that bring a layer's quantized output closer to its float output.

#include <string>
#include <vector>

#include "lib/graph/layer.h"
#include "lib/layers/channel_fit.h"
#include "lib/session/session.h"

namespace roundel::layers {

// What may change of a layer, and which channels must have the same gain.
struct RefitRules {
  bool scales = false, bias = false;
  std::string why_no_scales, why_no_bias;
  std::vector<size_t> group;  // by channel
};

// From the layer's grids and readers.
RefitRules RulesOf(const Session& session, const graph::WeightedLayer& layer);

// By channel, what replaces its output z: gain * z + offset. The best fit on the samples for
// fitting, where it also has less error on the held-out ones; else only an offset, or nothing.
// `bias`: of the layer.
std::vector<Affine> ChooseFits(const ChannelPairs& pairs, const std::vector<double>& bias,
                               const RefitRules& rules);

// Puts the gains into the scales of the weight, whose codes are fixed by that, and the offsets into
// the bias. Returns "", or the reason why nothing was changed.
std::string ApplyFits(Session& session, const graph::WeightedLayer& layer,
                      const std::vector<Affine>& fits, const std::string& decided_by);

}  // namespace roundel::layers
