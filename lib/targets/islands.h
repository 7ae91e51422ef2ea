#pragma once
// Islands of integer operators. Layers (Profile::anchors) are worth a pair of quantizers for their
// own sake. An Add, a Sigmoid or a Concat is not: between float neighbours its integer kernel saves
// less than the conversions on its sides cost, and eight bits for the square in front of a root, or
// for the mean of a normalisation, cost up to 40 dB. It is quantized where it joins integer
// neighbours:
//
//   every operand that is not constant comes from a layer, from another member of the island, or is
//   a layer's input, directly or through what moves values and clamps; and a layer or another
//   member reads its result, again directly or through such nodes.
//
// Members are found by taking away, until nothing changes, whatever lacks one of the two. (Residual
// sums between convolutions and x * Sigmoid(x) stay; decomposed normalisations, magnitudes,
// attention masks and what comes behind the last layer go.) `island_ends` need the first condition
// only.

#include <string>
#include <unordered_set>

#include "lib/targets/placing.h"

namespace roundel::target {

class Islands {
 public:
  explicit Islands(Placing& placing) : p_(placing) {}

  // Makes nodes float, with the reason, that have no integer neighbours (if the profile has
  // anchors) or that read what may have no grid.
  void Settle();
  // Whether an integer op reads the value, directly or through what moves values and clamps. True
  // if the profile has no anchors.
  bool FeedsInteger(const std::string& value) const;
  // Whether a layer does, or integer ops between it and the value.
  bool FeedsLayer(const std::string& value) const { return to_layer_.contains(value); }
  // Whether the value is a graph output, as it is or behind such nodes.
  bool IsInterface(const std::string& value) const { return to_output_.contains(value); }

 private:
  bool IsIntegerOp(const graph::Node& node);
  bool IsForced(const graph::Node& node);
  const std::string* Followed(const graph::Node& node);
  void LookAhead();
  void LookBack();
  bool AddsBiasToFloats(const graph::Node& node) const;
  void SpreadUntold();
  // Why the node cannot be quantized for want of a range; "" if it can.
  std::string UntoldProblem(const graph::Node& node) const;
  std::string Problem(const graph::Node& node);

  Placing& p_;
  // By value: what reads it, directly or through nodes that follow their input (a layer also
  // through other integer ops).
  std::unordered_set<std::string> to_integer_, to_layer_, to_output_;
  std::unordered_set<std::string> layer_inputs_;  // directly
  std::unordered_set<std::string> integer_;       // has codes without a pair of its own
  std::unordered_set<std::string> blocked_;       // may have no grid
  std::unordered_set<std::string> untold_;  // has no range, itself or by what it shares one with
};

}  // namespace roundel::target
