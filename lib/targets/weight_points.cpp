#include "lib/targets/weight_points.h"

#include "lib/base/text.h"
#include "lib/targets/grid_check.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {

using graph::Node;
using quant::Granularity;
using Kind = NodePlan::Kind;

void WeightPoints::CollectAxes() {
  for (const auto& node : p_.g.nodes()) {
    const Kind kind = p_.plans[node.get()].kind;
    const bool layer =
        kind == Kind::kWeights || (kind == Kind::kQuantized && graph::IsLayerOp(*node));
    if (!layer) continue;
    for (const graph::LayerSlots& place : graph::FindWeightSlots(p_.g, *node, 2)) {
      const std::string& value = node->input(place.weight);
      const Tensor* weight = p_.g.Constant(value);
      if (!weight) continue;
      for (const graph::LayerSlots& slots : graph::FindWeightSlots(p_.g, *node, weight->rank())) {
        if (slots.weight != place.weight) continue;
        axes_[value].channel.insert(slots.channel_axis);
        axes_[value].reduce.insert(slots.reduce_axis);
      }
    }
  }
}

WeightPoints::Choice WeightPoints::ChoiceOf(const Node& node, const std::string& value) {
  Choice c{p_.choice.weights, p_.choice.weight_granularity, p_.choice.block_size};
  const bool dynamic = p_.plans[&node].dynamic;
  if (const GridRule* rule = p_.rules.OfTensor(&node, value)) {
    c.is_float = rule->float_weights;
    c.grid = rule->weights.value_or(c.grid);
    if (rule->granularity) c.granularity = *rule->granularity, c.block_size = rule->block_size;
  }
  if (const int64_t own_blocks = c.grid.block_size(); own_blocks > 0)
    c.granularity = Granularity::kBlock, c.block_size = own_blocks;
  const bool no_blocks =
      !p_.profile.block_ops.empty() && !p_.profile.block_ops.contains(node.op_type);
  if (c.granularity == Granularity::kBlock && (no_blocks || dynamic))
    c.granularity = Granularity::kChannel;
  if (c.granularity == Granularity::kChannel && HasOneScale(node, value))
    c.granularity = Granularity::kTensor;
  if (!c.grid.has_scale()) c.granularity = Granularity::kTensor;
  // DynamicQuantizeLSTM takes one zero point for all channels.
  if (dynamic && IsRecurrent(node) && c.grid.kind == quant::GridKind::kInteger && !c.grid.symmetric)
    c.grid = {.bits = c.grid.bits, .is_signed = true, .symmetric = true};
  // ConvInteger supports only unsigned weights; with the zero point 128 they represent the same
  // values.
  if (dynamic && node.Is("Conv") && c.grid.kind == quant::GridKind::kInteger) {
    c.grid = {.bits = c.grid.bits, .is_signed = false, .symmetric = true};
    // Fewer bits are for signed weights, whose sums saturate on some processors.
    if (!GridAllowed(c.grid, AllowedWeights(p_.profile, node.op_type, ActivationMode::kDynamic)))
      c.grid.bits = 8;
  }
  return c;
}

bool WeightPoints::HasOneScale(const Node& node, const std::string& value) {
  const std::string why =
      OneScaleReason(p_.profile, node.op_type, p_.g.Constant(value)->rank(),
                     p_.plans[&node].kind == Kind::kQuantized || p_.plans[&node].dynamic);
  if (!why.empty()) p_.placement.overruled.push_back({value, node.op_type, why});
  return !why.empty();
}

void WeightPoints::Check(const Node& node, const Choice& c) {
  const NodePlan& plan = p_.plans[&node];
  const std::string what = StrCat("weights of ", node.DisplayName());
  const ActivationMode mode = plan.kind != Kind::kWeights ? ActivationMode::kStatic
                              : plan.dynamic              ? ActivationMode::kDynamic
                                                          : ActivationMode::kFloat;
  const std::string name = kActivationModes[static_cast<int>(mode)];
  if (!p_.profile.modes.empty() && !p_.profile.modes.contains(name))
    p_.Require(UsageError(StrCat(what, ": target '", p_.profile.name, "' has no layers whose ",
                                 "activations are ", name)));
  p_.Require(CheckGrid(p_.profile, what, c.grid, AllowedWeights(p_.profile, node.op_type, mode)));
  if (c.grid.scales == quant::ScaleKind::kSigned && mode != ActivationMode::kFloat)
    p_.Require(UsageError(StrCat(what, ": scales with a sign are for layers with float inputs")));
  if (plan.dynamic && (c.grid.is_float() || BitWidth(c.grid.storage_type()) != 8))
    p_.Require(UsageError(
        StrCat(what, ": dynamic quantization takes weights of 5 to 8 bits, not ", c.grid.Name())));
  if (c.granularity == Granularity::kBlock && !p_.profile.block_sizes.empty() &&
      !p_.profile.block_sizes.contains(c.block_size))
    p_.Require(UsageError(
        StrCat(what, ": target '", p_.profile.name, "' has no blocks of ", c.block_size)));
}

void WeightPoints::Add(const Node& node, size_t index) {
  const std::string& value = node.input(index);
  const Tensor& weight = *p_.g.Constant(value);
  const Choice c = ChoiceOf(node, value);
  if (c.is_float) return;
  Check(node, c);
  QuantPoint point{.value = value, .role = quant::Role::kWeight, .grid = c.grid};
  const bool blocks = c.granularity == Granularity::kBlock;
  const Axes& all = axes_[value];
  const std::set<int64_t>& axes = blocks ? all.reduce : all.channel;
  if (weight.rank() >= 2 && axes.size() == 1) {
    point.granularity = c.granularity;
    point.axis = point.granularity == Granularity::kTensor ? 0 : *axes.begin();
    point.block_size = blocks ? c.block_size : 0;
  }
  AddPoint(point);
  p_.AddUse(node, index,
            StrCat(point.grid.Name(), " ", static_cast<int>(point.granularity), " ", point.axis,
                   " ", point.block_size));
}

void WeightPoints::AddOperand(const Node& node, size_t index, bool shares) {
  const std::string& value = node.input(index);
  const GridRule* rule = p_.rules.OfTensor(&node, value);
  if (rule && rule->float_weights) return;
  const quant::Grid grid = p_.OwnGrid(node.output(0)).value_or(p_.choice.activations);
  AddPoint({.value = value, .role = quant::Role::kWeight, .grid = grid});
  operands_.insert(value);
  // The range of a group applies to no other value.
  p_.AddUse(node, index,
            StrCat(grid.Name(), " ", static_cast<int>(Granularity::kTensor), " 0 0",
                   shares ? " " + node.output(0) : ""));
}

void WeightPoints::AddPoint(const QuantPoint& point) {
  if (index_.try_emplace(point.value, points_.size()).second) points_.push_back(point);
}

const QuantPoint* WeightPoints::Find(const std::string& value) const {
  const auto it = index_.find(value);
  return it == index_.end() ? nullptr : &points_[it->second];
}

void WeightPoints::Emit() {
  for (QuantPoint& point : points_) {
    // Constants that are joined with activations in a Concat share the range of its group.
    if (operands_.contains(point.value) && p_.groups.Find(point.value) != point.value) {
      point.group = p_.groups.Number(point.value);
      point.grid = p_.GroupGrid(point.group);
    }
    p_.placement.points.push_back(point);
  }
}

}  // namespace roundel::target
