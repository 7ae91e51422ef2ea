#pragma once
// The inputs of nodes that are weights and biases, and the meaning of weight axes.

#include <cstdint>
#include <optional>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

// The input indices of weight and bias, and the meaning of the weight axes.
struct LayerSlots {
  size_t weight = 1;
  std::optional<size_t> bias;
  int64_t channel_axis = 0;  // output channels
  int64_t reduce_axis = 0;   // the axis that is summed over and cut into blocks
  // The integer accumulator holds x*w in units of s_x*s_w; the bias adds bias/bias_factor to it.
  double bias_factor = 1;
};
// For Conv, ConvTranspose, Gemm, MatMul, and the table of a Gather; nullopt for other ops. The
// weight of a MatMul is the right operand, unless only the left one is constant.
std::optional<LayerSlots> FindLayerSlots(const Graph& graph, const Node& node, int64_t weight_rank);
// The weights that can be codes in a node that is float otherwise: that of FindLayerSlots, those of
// LSTM, GRU and RNN ([directions, gates * hidden, inputs], and [.., hidden] of the recurrence), and
// that of com.microsoft.Attention ([inputs, 3 * hidden]).
std::vector<LayerSlots> FindWeightSlots(const Graph& graph, const Node& node, int64_t weight_rank);

}  // namespace roundel::graph
