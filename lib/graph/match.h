#pragma once
// Questions that passes ask about the surroundings of a node.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

// What the model declares about a value (input, output or value_info); nullptr if nothing.
const ValueInfo* FindValueInfo(const Graph& graph, const std::string& value);
// Drops what is declared about a value that no longer exists.
void ForgetValue(Graph* graph, const std::string& value);

// The number of axes of a value as far as declarations and the nodes that produce it tell.
std::optional<int64_t> RankOf(const Graph& graph, const std::string& value);
// Its shape if every dimension is declared.
std::optional<Shape> StaticShapeOf(const Graph& graph, const std::string& value);

// The two inputs of a commutative node with one constant: {constant, index of the other input}.
struct ConstantOperand {
  const Tensor* constant = nullptr;
  size_t constant_index = 0;
  size_t data_index = 0;
};
std::optional<ConstantOperand> FindConstantOperand(const Graph& graph, const Node& node);

// A Pad node in any version, with constant amounts.
struct PadFacts {
  std::string mode;
  double value = 0;
  // Per axis, of the first `begin.size()` axes unless `axes` says which; never both non-empty
  // amounts for an axis that is not listed.
  std::vector<int64_t> axes, begin, end;
  bool PadsAxis(int64_t axis) const;
};
std::optional<PadFacts> ReadPad(const Graph& graph, const Node& node, int64_t opset);
// Sets the constant that a Pad in constant mode fills in.
void SetPadValue(Graph* graph, Node* node, int64_t opset, DType type, double value);

// Lower and upper bound of a Clip in any version; infinite where left out. nullopt if not constant.
struct ClipBounds {
  double low, high;
};
std::optional<ClipBounds> ReadClip(const Graph& graph, const Node& node);

// Axes of ReduceX, Squeeze, Unsqueeze: attribute or constant input 1; nullopt if not constant, or
// all axes (none given).
std::optional<std::vector<int64_t>> ReadAxes(const Graph& graph, const Node& node);

// True if the axes of a reduction or Squeeze are given and all spatial (2 and above).
bool HasOnlySpatialAxes(const Graph& graph, const Node& node);

// The operands of Min(x, constant) if the constant is one number or lies along axis 1 of x.
std::optional<ConstantOperand> FindChannelBound(const Graph& graph, const Node& node);
// One value per channel in the shape [1, C, 1, ..] that broadcasts against `value`, whose rank is
// known.
Tensor ChannelConstant(const Graph& graph, const std::string& value, DType type,
                       const std::vector<double>& values);

// True if the node only merges spatial axes into channels, [N, C, s...] -> [N, C * prod(s)]:
// Flatten with axis 1, and a Reshape that provably does the same.
bool FlattensToChannels(const Graph& graph, const Node& node);

}  // namespace roundel::graph
