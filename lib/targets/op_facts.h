#pragma once
// What the placement rules must know of single operators.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/graph/layer.h"

namespace roundel::target {

// Inputs that carry data: all, except where the operator has float parameters that steer it (Clip's
// bounds, Resize's scales) or that runtimes keep in float (scale and bias of normalisations).
std::vector<size_t> DataInputs(const graph::Node& node);

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
std::optional<LayerSlots> FindLayerSlots(const graph::Graph& graph, const graph::Node& node,
                                         int64_t weight_rank);
// The weights that may be codes where nothing else of the node is: that of FindLayerSlots, those of
// LSTM, GRU and RNN ([directions, gates * hidden, inputs], and [.., hidden] of the recurrence), and
// that of com.microsoft.Attention ([inputs, 3 * hidden]).
std::vector<LayerSlots> FindWeightSlots(const graph::Graph& graph, const graph::Node& node,
                                        int64_t weight_rank);
bool IsRecurrent(const graph::Node& node);
// A recurrent node or an Attention: layers that runtimes compute in floats beside static grids.
bool IsFloatLayer(const graph::Node& node);
// The value by which a node is known: its first output that is wanted.
const std::string& MainOutput(const graph::Node& node);

// Whether the output holds only values of the (first) input: the same range serves both. False for
// a Resize that overshoots (cubic) and a Pad with a constant other than zero.
bool KeepsValues(const graph::Graph& graph, const graph::Node& node);

// The element-wise clamp that a Relu, Clip or Min(x, constant) applies; nullopt if it is no such
// node or its bounds are not constant. Bounds that vary over the tensor give their tightest pair.
struct Clamp {
  float low, high;
};
std::optional<Clamp> FindClamp(const graph::Graph& graph, const graph::Node& node);
// Min(x, constant): the index of x.
std::optional<size_t> MinDataInput(const graph::Graph& graph, const graph::Node& node);

}  // namespace roundel::target
