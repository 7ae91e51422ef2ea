#pragma once
// New biases for layers whose weights have been rounded.

#include <string>
#include <vector>

#include "lib/graph/layer.h"
#include "lib/session/session.h"

namespace roundel::layers {

// The grid of a bias that joins integer sums: int32 in the unit of each channel's products.
// `input_unit` is the scale of the layer's input times the layer's own factor; scales of weights
// repeat over the groups of a ConvTranspose.
quant::Encoding BiasEncoding(double input_unit, const quant::Encoding& weight, int64_t channels,
                             const std::string& decided_by);

// Why the layer's bias cannot be changed; empty if it can.
std::string BiasObstacle(const Session& session, const graph::WeightedLayer& layer);

// Writes `bias`, one value per output channel, and gives it the grid that follows from the scales of
// the layer's input and weight, if the model quantizes its biases. Returns why not, with nothing
// changed; empty if done.
std::string SetBias(Session& session, graph::WeightedLayer layer, const std::vector<double>& bias,
                    const std::string& decided_by);

}  // namespace roundel::layers
