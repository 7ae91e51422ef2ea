#pragma once
// The first placement rule: how each node is treated, and why.

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/targets/profile.h"
#include "lib/targets/rules.h"

namespace roundel::target {

struct NodePlan {
  enum class Kind {
    kNoFloats,
    kFloat,        // float, with a reason
    kQuantized,    // quantizers on both sides
    kWeights,      // a layer with only the weight quantized: weight-only, or dynamic
    kPassThrough,  // follows its input
    kShared,       // one range for inputs and output
    kClamp,        // Relu, Clip
  };
  Kind kind = Kind::kNoFloats;
  std::string reason;    // kFloat
  bool dynamic = false;  // kWeights: the input is quantized at run time
};

class NodeSorter {
 public:
  // Requires: all three outlive the sorter.
  NodeSorter(const graph::Model& model, const Profile& profile, const GridChoice& choice);
  // Errors: kUsage for an invalid exclude pattern.
  Status Prepare();

  // `rule`: the recipe's for this node, or nullptr.
  NodePlan Sort(const graph::Node& node, const GridRule* rule);
  // For a node that Sort() would quantize if the ranges of its tensors were known: quantizes only
  // its weights, if that is possible and the target supports such layers.
  NodePlan SortWithoutRanges(const graph::Node& node, const GridRule* rule, const std::string& why);
  bool IsFloat32(const std::string& value) const { return TypeOf(value) == DType::kFloat; }
  std::vector<std::string> UnmatchedExcludes() const;

 private:
  struct Exclude {
    Pattern pattern;
    bool matched = false;
  };

  DType TypeOf(const std::string& value) const;
  bool HasFloats(const graph::Node& node) const;
  NodePlan SortStatic(const graph::Node& node) const;
  NodePlan SortWeights(const graph::Node& node, const GridRule* rule, ActivationMode mode) const;
  static NodePlan RunsInFloat(const std::string& op);
  bool HasDynamicForm(const graph::Node& node) const;
  bool HoldsWeights(const graph::Node& node) const;
  std::string WeightsProblem(const graph::Node& node, bool dynamic) const;
  std::string TypeProblem(const graph::Node& node) const;
  std::string LayerProblem(const graph::Node& node) const;

  const graph::Graph& g_;
  const Profile& profile_;
  const GridChoice& choice_;
  const std::unordered_map<std::string, DType> types_;
  // The nodes before the logarithm of a spectrum (log_spectra.h).
  const std::unordered_set<const graph::Node*> spectra_;
  std::vector<Exclude> excludes_;
};

}  // namespace roundel::target
