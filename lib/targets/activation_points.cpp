#include "lib/targets/activation_points.h"

#include <algorithm>
#include <vector>

#include "lib/base/text.h"
#include "lib/targets/fused_adds.h"
#include "lib/targets/grid_check.h"
#include "lib/targets/op_facts.h"
#include "lib/targets/output_paths.h"

namespace roundel::target {

using graph::Node;
using Kind = NodePlan::Kind;

void ActivationPoints::PlaceAround(const Node& node) {
  PlaceInputs(node);
  if (!LeavesFloat(node)) PlaceOutput(node);
}

void ActivationPoints::PlaceInputs(const Node& node) {
  const bool shared = p_.plans[&node].kind == Kind::kShared;
  const bool layer = graph::IsLayerOp(node);
  const auto fused =
      p_.profile.fused_adds && node.Is("Add") ? FusedOperand(p_.g, node) : std::nullopt;
  for (const size_t i : DataInputs(node)) {
    const std::string& value = node.input(i);
    if (value.empty() || !p_.sorter.IsFloat32(value) || i == fused) continue;
    const Tensor* constant = p_.g.Constant(value);
    if (layer && i == 1 && constant)
      weights_.Add(node, i);
    else if (layer && i == 2)
      biases_.AddUse(node);
    else if (constant)
      weights_.AddOperand(node, i, shared);
    else
      wanted_.insert(value);
    if (shared && !p_.joins.apart.contains({node.output(0), value}))
      p_.groups.Union(node.output(0), value);
  }
}

// Whether the op reads codes and its results are floats.
bool ActivationPoints::LeavesFloat(const Node& node) const {
  if (p_.profile.float_outputs.contains(node.op_type)) return true;
  const std::string& output = node.output(0);
  return p_.profile.float_results.contains(node.op_type) && !islands_.FeedsInteger(output) &&
         !islands_.IsInterface(output);
}

void ActivationPoints::PlaceOutput(const Node& node) {
  const bool shared = p_.plans[&node].kind == Kind::kShared;
  const std::string output = shared ? node.output(0) : OutputAfterClamps(node);
  wanted_.insert(output);
  // An output that shares the range of all its parts derives from them.
  const auto first_apart = p_.joins.apart.lower_bound({output, ""});
  if (shared && (first_apart == p_.joins.apart.end() || first_apart->first != output))
    derived_.insert(output);
  const auto fixed = p_.profile.fixed_output_ranges.find(node.op_type);
  if (fixed != p_.profile.fixed_output_ranges.end() && output == node.output(0))
    fixed_[output] = fixed->second;
}

// The longest chain of a supergroup that starts with `node`; returns its last node.
const Node* ActivationPoints::EndOfSupergroup(const Node& node) {
  std::vector<const Node*> longest;
  for (const std::vector<std::string>& ops : p_.profile.supergroups) {
    std::vector<const Node*> chain;
    const Node* step = &node;
    for (size_t i = 0; i < ops.size() && step && step->Is(ops[i].c_str()); ++i) {
      chain.push_back(step);
      step = p_.g.OnlyConsumer(step->output(0));
    }
    const bool whole = chain.size() == ops.size() && chain.size() > longest.size();
    const bool free = whole && std::none_of(chain.begin(), chain.end(),
                                            [this](const Node* n) { return IsExcluded(*n); });
    if (free) longest = chain;
  }
  for (size_t i = 1; i < longest.size(); ++i) {
    p_.plans[longest[i]] = {Kind::kNoFloats, ""};  // inside the chain there are no quantizers
    fused_.insert(longest[i]);
  }
  return longest.empty() ? &node : longest.back();
}

// The value at the end of the chain of clamps that belongs to `node`.
std::string ActivationPoints::OutputAfterClamps(const Node& node) {
  if (!p_.profile.supergroups.empty()) return EndOfSupergroup(node)->output(0);
  std::string value = node.output(0);
  while (const Node* reader = p_.g.OnlyConsumer(value)) {
    // A Min with a constant is only an upper bound, so it belongs to the node only after a Relu or
    // Clip: this is the form of a Clip with bounds per channel.
    const bool is_min = value != node.output(0) && MinDataInput(p_.g, *reader) &&
                        reader->inputs[*MinDataInput(p_.g, *reader)] == value &&
                        !IsExcluded(*reader) && p_.sorter.IsFloat32(reader->output(0));
    const bool is_clamp = p_.plans[reader].kind == Kind::kClamp && reader->input(0) == value;
    if (!is_clamp && !is_min) break;
    if (is_min) QuantizeBefore(*reader, value);
    p_.plans[reader] = {Kind::kClamp, ""};
    fused_.insert(reader);
    value = reader->output(0);
    const quant::Grid grid = p_.OwnGrid(value).value_or(p_.choice.activations);
    if (p_.profile.absorb_relu && (!grid.symmetric || grid.from_zero) && FindClamp(p_.g, *reader))
      p_.placement.absorbable.push_back(value);
  }
  return value;
}

// An integer kernel cannot apply a Min with bounds per channel to its result. The value before it
// therefore gets the same grid, so that the layer and the Min both run in integers. Saturation at
// the end of that grid, which no bound exceeds, changes no result.
void ActivationPoints::QuantizeBefore(const Node& min, const std::string& value) {
  wanted_.insert(value);
  derived_.insert(value);
  p_.groups.Union(min.output(0), value);
}

bool ActivationPoints::IsExcluded(const Node& node) {
  return p_.plans[&node].reason.starts_with("excluded");
}

void ActivationPoints::FollowInput(const Node& node) {
  NodePlan& plan = p_.plans[&node];
  const bool follows =
      plan.kind == Kind::kPassThrough || (plan.kind == Kind::kClamp && !fused_.contains(&node));
  if (!follows) return;
  if (!wanted_.contains(node.input(0))) {
    plan = {Kind::kFloat, "its input is not quantized"};
    return;
  }
  if (plan.kind == Kind::kClamp && !islands_.FeedsInteger(node.output(0))) {
    plan = {Kind::kFloat, "no integer neighbor after it"};
    return;
  }
  for (const std::string& output : node.outputs) {
    if (output.empty() || !p_.sorter.IsFloat32(output)) continue;
    wanted_.insert(output);
    if (plan.kind != Kind::kPassThrough) continue;
    p_.groups.Union(node.input(0), output);
    derived_.insert(output);
  }
}

void ActivationPoints::ApplyInterfaceRules() {
  if (!p_.profile.quantize_graph_inputs)
    for (const auto& input : p_.g.inputs) wanted_.erase(input.name);
  if (!p_.profile.quantize_graph_outputs)
    for (const auto& output : p_.g.outputs) wanted_.erase(output.name);
  // A rule for a tensor by name takes precedence.
  std::erase_if(wanted_, [this](const std::string& value) {
    const GridRule* rule = p_.rules.OfTensor(p_.g.Producer(value), value);
    return rule && !rule->tensor.empty() && rule->mode == ActivationMode::kFloat;
  });
}

// Values that reach an output, and results with a range that is bounded by definition of ops that
// are computed in float.
bool ActivationPoints::IsWhole(const std::string& value) const {
  const Node* producer = p_.g.Producer(value);
  return paths_.direct.contains(value) ||
         (producer && !fixed_.contains(value) &&
          p_.profile.fixed_output_ranges.contains(producer->op_type));
}

void ActivationPoints::EmitValue(const std::string& value) {
  if (!wanted_.contains(value) || !emitted_.insert(value).second) return;
  QuantPoint point{.value = value, .group = p_.groups.Number(value)};
  // The first rule in a group that shares a range applies to the whole group.
  if (const auto own = p_.OwnGrid(value)) p_.group_grids.try_emplace(point.group, *own);
  point.derived = derived_.contains(value);
  if (const auto fixed = fixed_.find(value); fixed != fixed_.end()) {
    point.fixed_range = true;
    point.range_min = fixed->second.min;
    point.range_max = fixed->second.max;
  }
  point.whole_range = IsWhole(value);
  point.rare_values_count = paths_.local.contains(value);
  p_.placement.points.push_back(std::move(point));
}

void ActivationPoints::Emit() {
  paths_ = FindOutputPaths(p_.g);
  for (const auto& input : p_.g.inputs) EmitValue(input.name);
  for (const auto& node : p_.g.nodes())
    for (const std::string& output : node->outputs) EmitValue(output);
  // If the interface rules have removed the sources of derived values, these are observed
  // themselves.
  std::set<int> observed;
  for (const QuantPoint& point : p_.placement.points)
    if (!point.derived) observed.insert(point.group);
  for (QuantPoint& point : p_.placement.points) {
    point.derived &= observed.contains(point.group);
    point.grid = p_.GroupGrid(point.group);
    if (point.fixed_range && point.grid.bits == 16) UseFixedRange16(&point);
    Check(point);
  }
  for (const auto& node : p_.g.nodes()) EmitJoin(*node);
}

void ActivationPoints::EmitJoin(const Node& node) {
  const auto policy = p_.profile.ops.find(node.op_type);
  const bool joins =
      node.domain.empty() && policy != p_.profile.ops.end() && policy->second == OpPolicy::kShared;
  if (!joins || !emitted_.contains(node.output(0))) return;
  ValueJoin join{
      .output = node.output(0), .parts = {}, .feeds_layer = islands_.FeedsLayer(node.output(0))};
  for (const std::string& value : node.inputs)
    if (!value.empty()) join.parts.push_back({value, IsReadElsewhere(node, value)});
  p_.placement.joins.push_back(std::move(join));
}

// Moved copies of a value have its range, so that their readers count too.
bool ActivationPoints::IsReadElsewhere(const Node& join, const std::string& value) {
  const Node* reader = &join;
  for (const std::string* step = &value;;) {
    if (p_.g.IsOutput(*step)) return true;
    for (const graph::Use& use : p_.g.Uses(*step))
      if (use.node != reader) return true;
    reader = p_.g.Producer(*step);
    if (!reader || p_.plans[reader].kind != Kind::kPassThrough) return false;
    if (reader->outputs.size() > 1) return true;
    step = &reader->inputs[0];
  }
}

void ActivationPoints::UseFixedRange16(QuantPoint* point) const {
  const Node* producer = p_.g.Producer(point->value);
  const auto fixed = p_.profile.fixed_output_ranges_16.find(producer ? producer->op_type : "");
  if (fixed == p_.profile.fixed_output_ranges_16.end()) return;
  point->range_min = fixed->second.min;
  point->range_max = fixed->second.max;
}

void ActivationPoints::Check(const QuantPoint& point) {
  const Node* producer = p_.g.Producer(point.value);
  if (!TakesActivations(point.grid))
    p_.Require(UsageError(
        StrCat("activation '", point.value, "': ", point.grid.Name(), " is a format of weights")));
  const auto own = p_.profile.op_activation_grids.find(producer ? producer->op_type : "");
  const bool listed = own != p_.profile.op_activation_grids.end();
  p_.Require(CheckGrid(p_.profile, StrCat("activation '", point.value, "'"), point.grid,
                       listed ? own->second : p_.profile.activation_grids));
}

}  // namespace roundel::target
