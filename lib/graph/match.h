#pragma once
// Queries about a node and its neighbors, for passes.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::graph {

// The declaration of a value (input, output or value_info); nullptr if there is none.
const ValueInfo* FindValueInfo(const Graph& graph, const std::string& value);
// Removes the declaration of a value that no longer exists.
void ForgetValue(Graph* graph, const std::string& value);

// The rank of a value, from declarations and producing nodes; nullopt if unknown.
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

// A Pad node of any opset, with constant amounts.
struct PadFacts {
  std::string mode;
  double value = 0;
  // Amounts per axis, for the first `begin.size()` axes, or for those in `axes` if that is not
  // empty. Axes that are not listed are not padded.
  std::vector<int64_t> axes, begin, end;
  bool PadsAxis(int64_t axis) const;
};
std::optional<PadFacts> ReadPad(const Graph& graph, const Node& node, int64_t opset);
// Sets the fill value of a Pad in constant mode.
void SetPadValue(Graph* graph, Node* node, int64_t opset, DType type, double value);

// Lower and upper bound of a Clip of any opset; infinite if absent. nullopt if not constant.
struct ClipBounds {
  double low, high;
};
std::optional<ClipBounds> ReadClip(const Graph& graph, const Node& node);

// Axes of ReduceX, Squeeze, Unsqueeze: attribute or constant input 1; nullopt if not constant, or
// all axes (none given).
std::optional<std::vector<int64_t>> ReadAxes(const Graph& graph, const Node& node);

// True if the axes of a reduction or Squeeze are given and all spatial (2 and above).
bool HasOnlySpatialAxes(const Graph& graph, const Node& node);

// The operands of Min(x, constant) if the constant is one number or varies along axis 1 of x.
std::optional<ConstantOperand> FindChannelBound(const Graph& graph, const Node& node);
// One value per channel in the shape [1, C, 1, ..] that broadcasts against `value`, whose rank is
// known.
Tensor ChannelConstant(const Graph& graph, const std::string& value, DType type,
                       const std::vector<double>& values);

// True if the node only merges spatial axes into channels, [N, C, s...] -> [N, C * prod(s)]:
// Flatten with axis 1, or a Reshape that provably has the same effect.
bool FlattensToChannels(const Graph& graph, const Node& node);

}  // namespace roundel::graph
