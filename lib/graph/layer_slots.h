#pragma once
// Where nodes keep weights and biases, and what the axes of a weight mean.

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

// Where a layer keeps its weight and bias, and which weight axes mean what.
struct LayerSlots {
  size_t weight = 1;
  std::optional<size_t> bias;
  int64_t channel_axis = 0;  // output channels
  int64_t reduce_axis = 0;   // the axis summed over, which blocks cut
  // The integer accumulator holds x*w in units of s_x*s_w; what the bias adds to it is bias/factor.
  double bias_factor = 1;
};
// For Conv, ConvTranspose, Gemm, MatMul, and the table of a Gather; nullopt for other ops. The weight of a
// MatMul stands on the right, unless the left side alone is constant.
std::optional<LayerSlots> FindLayerSlots(const Graph& graph, const Node& node, int64_t weight_rank);
// The weights that may be codes where nothing else of the node is: that of FindLayerSlots, those of
// LSTM, GRU and RNN ([directions, gates * hidden, inputs], and [.., hidden] of the recurrence), and
// that of com.microsoft.Attention ([inputs, 3 * hidden]).
std::vector<LayerSlots> FindWeightSlots(const Graph& graph, const Node& node, int64_t weight_rank);

}  // namespace roundel::graph
