#pragma once
// The activation points of a placement: the values with quantizers, and those that share a range.

#include <map>
#include <set>
#include <string>

#include "lib/targets/bias_points.h"
#include "lib/targets/islands.h"
#include "lib/targets/output_paths.h"
#include "lib/targets/placing.h"
#include "lib/targets/weight_points.h"

namespace roundel::target {

class ActivationPoints {
 public:
  ActivationPoints(Placing& placing, const Islands& islands, WeightPoints& weights,
                   BiasPoints& biases)
      : p_(placing), islands_(islands), weights_(weights), biases_(biases) {}

  // A quantized or sharing node asks for quantizers on its float inputs and outputs.
  void PlaceAround(const graph::Node& node);
  // A node that moves values, or a clamp that is not fused, gets quantizers on its outputs if its
  // input has one. Requires: called in execution order, after all calls of PlaceAround.
  void FollowInput(const graph::Node& node);
  void ApplyInterfaceRules();
  // Appends the points to the placement, in execution order, and the joins.
  void Emit();

 private:
  void PlaceInputs(const graph::Node& node);
  void PlaceOutput(const graph::Node& node);
  bool LeavesFloat(const graph::Node& node) const;
  const graph::Node* EndOfSupergroup(const graph::Node& node);
  std::string OutputAfterClamps(const graph::Node& node);
  void QuantizeBefore(const graph::Node& min, const std::string& value);
  bool IsExcluded(const graph::Node& node);
  bool IsWhole(const std::string& value) const;
  void EmitValue(const std::string& value);
  void EmitJoin(const graph::Node& node);
  bool IsReadElsewhere(const graph::Node& join, const std::string& value);
  void UseFixedRange16(QuantPoint* point) const;
  void Check(const QuantPoint& point);

  Placing& p_;
  const Islands& islands_;
  WeightPoints& weights_;
  BiasPoints& biases_;
  std::set<std::string> wanted_, derived_, emitted_;
  std::set<const graph::Node*> fused_;  // clamps that are fused into the node before them
  std::map<std::string, Profile::FixedRange> fixed_;
  OutputPaths paths_;
};

}  // namespace roundel::target
