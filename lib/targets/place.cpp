// The placement rules, in the order in which they run:
//
//    1. every node is classified: quantized, pass-through, shared, clamp (Relu, Clip), or float
//       with a reason (node_plan.h);
//    2. if the profile has anchors, quantized nodes without integer neighbors become float
//       (islands.h);
//    3. quantized nodes request quantizers on their float inputs and outputs. Constant operands
//       become weight points. A clamp that is the only reader of a quantized node's output belongs
//       to that node: the quantizer is after the clamp, never between the two
//       (activation_points.h);
//    4. a pass-through node whose input is quantized also gets a quantizer on its outputs, with the
//       same range, so that runtimes can move integers through it; likewise clamps that belong to
//       no node;
//    5. weights have separate grids (weight_points.h), biases get int32 if both factors of their
//       scale are known (bias_points.h).
//
// Layers whose activations stay float, or get their grid at run time, have points only for their
// weights. Rules of the recipe choose among these per node, and the grid per tensor.

#include "lib/graph/bodies.h"
#include "lib/targets/activation_points.h"
#include "lib/targets/grid_check.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Node;
using Kind = NodePlan::Kind;

class Placer {
 public:
  Placer(const graph::Model& model, const Profile& profile, const GridChoice& choice,
         const RangeDecisions& joins)
      : p_{.g = *model.graph,
           .profile = profile,
           .choice = choice,
           .joins = joins,
           .sorter = NodeSorter(model, profile, choice),
           .rules = {},
           .plans = {},
           .groups = {},
           .group_grids = {},
           .placement = {},
           .problem = {}} {}

  Result<Placement> Run() {
    RETURN_IF_ERROR(CheckChoice(p_.profile, p_.choice));
    ASSIGN_OR_RETURN(p_.rules, RuleSet::Compile(p_.choice.rules, &p_.g));
    RETURN_IF_ERROR(p_.sorter.Prepare());
    for (const auto& node : p_.g.nodes())
      p_.plans[node.get()] = p_.sorter.Sort(*node, p_.rules.OfNode(*node));
    islands_.Settle();
    weights_.CollectAxes();
    for (const auto& node : p_.g.nodes()) {
      const Kind kind = p_.plans[node.get()].kind;
      if (kind == Kind::kQuantized || kind == Kind::kShared) activations_.PlaceAround(*node);
      if (kind == Kind::kWeights) PlaceWeights(*node);
    }
    for (const auto& node : p_.g.nodes()) TakeAnyForm(*node);
    for (const auto& node : p_.g.nodes()) activations_.FollowInput(*node);
    activations_.ApplyInterfaceRules();
    activations_.Emit();
    weights_.Emit();
    biases_.Emit();
    EmitFloatNodes();
    EmitKeptFloat();
    RETURN_IF_ERROR(p_.problem);
    p_.placement.unmatched_excludes = p_.sorter.UnmatchedExcludes();
    p_.placement.unmatched_rules = p_.rules.Unmatched();
    return std::move(p_.placement);
  }

 private:
  // Weight-only and dynamic layers: their bias and their activations stay float.
  void PlaceWeights(const Node& node) {
    bool all = true;
    for (const graph::LayerSlots& slots : graph::FindWeightSlots(p_.g, node, 2)) {
      weights_.Add(node, slots.weight);
      all &= weights_.Find(node.input(slots.weight)) != nullptr;
    }
    if (!p_.plans[&node].dynamic)
      p_.placement.weights_only_layers.push_back(MainOutput(node));
    else if (all)
      p_.placement.dynamic_layers.push_back(MainOutput(node));
  }

  // A table lookup accepts the codes of a layer that has the same matrix.
  void TakeAnyForm(const Node& node) {
    const NodePlan& plan = p_.plans[&node];
    const bool excluded = plan.reason.starts_with("excluded") || p_.rules.OfNode(node);
    const bool free =
        plan.kind == Kind::kPassThrough || (plan.kind == Kind::kFloat && node.Is("Gather"));
    if (free && !excluded && p_.g.Constant(node.input(0))) p_.AddUse(node, 0, kAnyForm);
  }

  void EmitFloatNodes() {
    for (const auto& node : p_.g.nodes()) {
      const NodePlan& plan = p_.plans[node.get()];
      if (plan.kind == Kind::kFloat)
        p_.placement.float_nodes.push_back({node->DisplayName(), node->op_type, plan.reason});
    }
  }

  void EmitKeptFloat() {
    p_.placement.kept_float = p_.joins.unknown_ranges;
    for (const auto& node : p_.g.nodes()) {
      const GridRule* rule = p_.rules.OfNode(*node);
      if (p_.plans[node.get()].reason.starts_with("excluded") ||
          (rule && rule->mode && rule->mode != ActivationMode::kStatic))
        p_.placement.kept_float.insert(node->outputs.begin(), node->outputs.end());
    }
    p_.placement.kept_float.erase("");
  }

  Placing p_;
  WeightPoints weights_{p_};
  BiasPoints biases_{p_, weights_};
  Islands islands_{p_};
  ActivationPoints activations_{p_, islands_, weights_, biases_};
};

}  // namespace

Result<Placement> Place(const graph::Model& model, const Profile& profile, const GridChoice& choice,
                        const RangeDecisions& joins) {
  if (!graph::HasBodies(*model.graph)) return Placer(model, profile, choice, joins).Run();
  graph::Model flat = graph::Clone(model);
  graph::FlattenBodies(&flat);
  return Placer(flat, profile, choice, joins).Run();
}

}  // namespace roundel::target
