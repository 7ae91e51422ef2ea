#pragma once
// Islands of integer operators. Quantizing a layer (Profile::anchors) always pays off. Quantizing
// an Add, a Sigmoid or a Concat between float neighbors does not: the integer kernel saves less
// than the conversions on its sides cost, and 8 bits for the square before a root, or for the
// mean of a normalization, cost up to 40 dB. Such a node is quantized if it connects integer
// neighbors:
//
//   every non-constant operand comes from a layer, from another member of the island, or is a
//   layer's input, directly or through nodes that move or clamp values; and a layer or another
//   member reads its result, again directly or through such nodes.
//
// Members are found by removing nodes that violate one of the two conditions until nothing changes.
// (Residual sums between convolutions and x * Sigmoid(x) remain; decomposed normalizations,
// magnitudes, attention masks and nodes after the last layer do not.) `island_ends` need the first
// condition only.

#include <string>
#include <unordered_set>

#include "lib/targets/placing.h"

namespace roundel::target {

class Islands {
 public:
  explicit Islands(Placing& placing) : p_(placing) {}

  // Makes nodes float, with a reason, that have no integer neighbors (if the profile has anchors)
  // or that read values that cannot have a grid.
  void Settle();
  // Whether an integer op reads the value, directly or through nodes that move or clamp values.
  // True if the profile has no anchors.
  bool FeedsInteger(const std::string& value) const;
  // Whether a layer reads the value, directly or through integer ops.
  bool FeedsLayer(const std::string& value) const { return to_layer_.contains(value); }
  // Whether the value is a graph output, directly or through such nodes.
  bool IsInterface(const std::string& value) const { return to_output_.contains(value); }

 private:
  bool IsIntegerOp(const graph::Node& node);
  bool IsForced(const graph::Node& node);
  const std::string* Followed(const graph::Node& node);
  void LookAhead();
  void LookBack();
  bool AddsBiasToFloats(const graph::Node& node) const;
  void SpreadUnknown();
  // The reason, an unknown range, why the node cannot be quantized; "" if it can.
  std::string UnknownRangeProblem(const graph::Node& node) const;
  std::string Problem(const graph::Node& node);

  Placing& p_;
  // Per value: its readers, directly or through nodes that follow their input (a layer also through
  // other integer ops).
  std::unordered_set<std::string> to_integer_, to_layer_, to_output_;
  std::unordered_set<std::string> layer_inputs_;  // directly
  std::unordered_set<std::string> integer_;       // has codes without a pair of its own
  std::unordered_set<std::string> blocked_;       // cannot have a grid
  std::unordered_set<std::string> unknown_;       // unknown range, of the value or of its group
};

}  // namespace roundel::target
