#pragma once
// New biases of layers with rounded weights.

#include <string>
#include <vector>

#include "lib/graph/layer.h"
#include "lib/session/session.h"

namespace roundel::layers {

// The encoding of a bias that is added to integer sums: int32 in the unit of each channel's
// products. `input_unit` is the scale of the layer's input times the layer's own factor; scales of
// weights repeat over the groups of a ConvTranspose.
quant::Encoding BiasEncoding(double input_unit, const quant::Encoding& weight, int64_t channels,
                             const std::string& decided_by);

// The reason why the layer's bias cannot be changed; "" if it can.
std::string BiasObstacle(const Session& session, const graph::WeightedLayer& layer);

// Writes `bias`, one value per output channel. If the model quantizes its biases, also sets its
// encoding, from the scales of the layer's input and weight. Returns "", or the reason why nothing
// was changed.
std::string SetBias(Session& session, graph::WeightedLayer layer, const std::vector<double>& bias,
                    const std::string& decided_by);

}  // namespace roundel::layers
