#pragma once
// Facts of single operators for the placement rules.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/graph/layer.h"
#include "lib/graph/layer_slots.h"

namespace roundel::target {

// Inputs that carry data: all but float parameters (Clip's bounds, Resize's scales) and inputs that
// runtimes keep in float (scale and bias of normalizations).
std::vector<size_t> DataInputs(const graph::Node& node);

bool IsRecurrent(const graph::Node& node);
// A recurrent node or an Attention: layers that runtimes compute in float if grids are static.
bool IsFloatLayer(const graph::Node& node);
// The value that identifies a node: its first output with a name.
const std::string& MainOutput(const graph::Node& node);

// Whether the output holds only values of the (first) input: the same range serves both. False for
// a Resize that overshoots (cubic) and for a Pad with a constant other than zero.
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
