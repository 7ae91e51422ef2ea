#pragma once
// Reads a node as y_c = scale_c x_c + shift_c with constants per channel: batch normalization in
// inference, or an element-wise node with a constant after a layer.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/graph/layer.h"

namespace roundel::graph {

struct ChannelAffine {
  std::vector<double> scale, shift;
  std::vector<double> mean, deviation;  // of y; known only for batch normalization
};

// y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with one value per channel each. nullopt
// if some variance + epsilon is not positive. Requires equal sizes.
std::optional<ChannelAffine> NormAffine(std::span<const double> gamma, std::span<const double> beta,
                                        std::span<const double> mean,
                                        std::span<const double> variance, double epsilon);

// Makes scale x + shift, per channel, what `after` makes of it.
void Append(const ChannelAffine& after, std::vector<double>* scale, std::vector<double>* shift);

// The reason why the BatchNormalization `node` uses the moments of the batch, or others than one per
// channel; "" in inference.
std::string WhyTraining(const Node& node, int64_t opset);

// The values of a constant. Errors: kModel if one is NaN or infinite.
Result<std::vector<double>> ReadFinite(const Graph& graph, const std::string& name);

// Requires: BatchNormObstacle is "". Errors: kModel for parameters that are inconsistent or not finite.
Result<ChannelAffine> ReadBatchNorm(const Graph& graph, const Node& node);

// Mul, Add, Sub or Div with a constant after `layer`; nullopt if the constant is not one value per
// output channel.
std::optional<ChannelAffine> ReadElementwise(const Graph& graph, const Node& node,
                                             const WeightedLayer& layer);

}  // namespace roundel::graph
