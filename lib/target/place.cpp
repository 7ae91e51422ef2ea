// The placement rules, in the order in which they run:
//
//   1. every node is sorted into one of: quantized, pass-through, shared, clamp (Relu, Clip), float
//      with a reason;
//   2. quantized nodes ask for quantizers on their float inputs and outputs. Constant operands
//      become weight points. A clamp that alone reads a quantized node's output belongs to that
//      node: the quantizer stands behind the clamp, never between the two;
//   3. a pass-through node whose input is quantized gets a quantizer on its outputs as well, of the
//      same range, so that runtimes can move integers through it; likewise clamps that stand alone;
//   4. biases get int32 where both factors of their scale are known.
//
// Layers whose activations stay float, or get their grid at run time, have points for their weights
// only. Rules of the recipe decide per node which of these it is, and per tensor which grid.

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "lib/base/text.h"
#include "lib/target/grid_name.h"
#include "lib/target/node_plan.h"
#include "lib/target/op_facts.h"
#include "lib/target/profile.h"
#include "lib/target/rules.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;
using Kind = NodePlan::Kind;
using quant::Granularity;
using quant::Role;

// ---- groups of values that share a range

class Groups {
 public:
  std::string Find(const std::string& value) {
    std::string root = value;
    while (parent_.try_emplace(root, root).first->second != root) root = parent_[root];
    for (std::string step = value; step != root;) step = std::exchange(parent_[step], root);
    return root;
  }
  void Union(const std::string& a, const std::string& b) {
    const std::string root = Find(a);
    parent_[Find(b)] = root;
  }

 private:
  std::unordered_map<std::string, std::string> parent_;
};

// How the constant of a layer is quantized.
struct WeightChoice {
  quant::Grid grid;
  Granularity granularity;
  int64_t block_size;
  bool is_float = false;
};

struct WeightAxes {
  std::set<int64_t> channel, reduce;
};

struct BiasUse {
  std::string value, input, weight;
  double factor;
};

class Placer {
 public:
  Placer(const graph::Model& model, const Profile& profile, const GridChoice& choice)
      : g_(*model.graph), profile_(profile), choice_(choice), sorter_(model, profile, choice) {}

  Result<Placement> Run() {
    RETURN_IF_ERROR(CheckChoice());
    ASSIGN_OR_RETURN(rules_, RuleSet::Compile(choice_.rules));
    RETURN_IF_ERROR(sorter_.Prepare());
    for (const auto& node : g_.nodes())
      plans_[node.get()] = sorter_.Sort(*node, rules_.OfNode(*node));
    CollectWeightAxes();
    for (const auto& node : g_.nodes()) {
      const Kind kind = plans_[node.get()].kind;
      if (kind == Kind::kQuantized || kind == Kind::kShared) PlaceAround(*node);
      if (kind == Kind::kWeights) PlaceWeights(*node);
    }
    for (const auto& node : g_.nodes()) FollowInput(*node);
    ApplyInterfaceRules();
    EmitActivations();
    EmitWeights();
    EmitBiases();
    EmitFloatNodes();
    RETURN_IF_ERROR(problem_);
    placement_.unmatched_excludes = sorter_.UnmatchedExcludes();
    placement_.unmatched_rules = rules_.Unmatched();
    return std::move(placement_);
  }

 private:
  // ---- 1. what was chosen

  Status CheckChoice() const {
    if (choice_.mode == ActivationMode::kStatic)
      RETURN_IF_ERROR(CheckGrid("activations", choice_.activations, profile_.activation_grids));
    RETURN_IF_ERROR(CheckGrid("weights", choice_.weights, AllowedWeights("", choice_.mode)));
    if (choice_.weight_granularity == Granularity::kBlock && choice_.block_size < 1)
      return UsageError("weights: blocks need a block size of at least 1");
    if (const std::string& name = choice_.activations.Name();
        choice_.mode == ActivationMode::kStatic && !TakesActivations(choice_.activations))
      return UsageError(StrCat("activations: ", name, " is a format of weights"));
    if (choice_.activations.narrow_range)
      return UsageError("activations: a narrow range has no QuantizeLinear; leave 'narrow' out");
    if (!profile_.modes.empty() &&
        !profile_.modes.contains(kActivationModes[static_cast<int>(choice_.mode)]))
      return UsageError(StrCat("activations: target '", profile_.name, "' has no mode ",
                               kActivationModes[static_cast<int>(choice_.mode)]));
    return OkStatus();
  }

  // Codes of two or three levels and scales in blocks are for constants.
  static bool TakesActivations(const quant::Grid& grid) {
    return grid.scales == quant::ScaleKind::kFloat &&
           (grid.is_float() || grid.kind == quant::GridKind::kInteger);
  }

  Status CheckGrid(const std::string& what, const quant::Grid& grid,
                   const std::set<std::string>& allowed) const {
    if (const int64_t opset = QuantizeOpset(grid.storage_type());
        profile_.max_opset > 0 && opset > profile_.max_opset)
      return UsageError(StrCat(what, ": ", grid.Name(), " needs opset ", opset, "; target '",
                               profile_.name, "' reads up to ", profile_.max_opset));
    if (grid.bits < 2 || grid.bits > 16)
      return UsageError(StrCat(what, ": ", grid.bits, " bits; 2 to 16 are possible"));
    if (GridAllowed(grid, allowed)) return OkStatus();
    return UsageError(
        StrCat(what, ": target '", profile_.name, "' has no ", grid.Name(),
               "; allowed: ", Join(std::vector<std::string>(allowed.begin(), allowed.end()))));
  }

  const std::set<std::string>& AllowedWeights(const std::string& op, ActivationMode mode) const {
    if (const auto it = profile_.op_weight_grids.find(op); it != profile_.op_weight_grids.end())
      return it->second;
    const bool weight_only = mode == ActivationMode::kFloat && !profile_.weight_only_grids.empty();
    return weight_only ? profile_.weight_only_grids : profile_.weight_grids;
  }

  // Keeps the first problem that a rule or an op's own limits have with a choice.
  void Require(Status status) {
    if (problem_.ok() && !status.ok()) problem_ = std::move(status);
  }

  // ---- 2. quantized nodes

  // A weight that layers use along different axes can only have one scale.
  void CollectWeightAxes() {
    for (const auto& node : g_.nodes()) {
      const Kind kind = plans_[node.get()].kind;
      const bool layer = kind == Kind::kWeights || (kind == Kind::kQuantized && IsLayer(*node));
      if (!layer) continue;
      const std::string& value = node->input(FindLayerSlots(g_, *node, 2)->weight);
      const Tensor* weight = g_.Constant(value);
      if (!weight) continue;
      const LayerSlots slots = *FindLayerSlots(g_, *node, weight->rank());
      weight_axes_[value].channel.insert(slots.channel_axis);
      weight_axes_[value].reduce.insert(slots.reduce_axis);
    }
  }

  // Weight-only and dynamic layers: their bias and all that flows stays float.
  void PlaceWeights(const Node& node) {
    const std::string& value = node.input(FindLayerSlots(g_, node, 2)->weight);
    AddWeight(node, value, *g_.Constant(value));
    if (plans_[&node].dynamic && weight_index_.contains(value))
      placement_.dynamic_layers.push_back(node.output(0));
  }

  void PlaceAround(const Node& node) {
    const bool shared = plans_[&node].kind == Kind::kShared;
    const bool layer = IsLayer(node);
    for (const size_t i : DataInputs(node)) {
      const std::string& value = node.input(i);
      if (value.empty() || !sorter_.IsFloat32(value)) continue;
      const Tensor* constant = g_.Constant(value);
      if (layer && i == 1 && constant)
        AddWeight(node, value, *constant);
      else if (layer && i == 2)
        AddBiasUse(node);
      else if (constant)
        AddConstantOperand(node, value);
      else
        wanted_.insert(value);
      if (shared) groups_.Union(node.output(0), value);
    }
    const bool alone = shared || profile_.float_outputs.contains(node.op_type);
    const std::string output = alone ? node.output(0) : OutputBehindClamps(node);
    if (!profile_.float_outputs.contains(node.op_type)) wanted_.insert(output);
    if (shared) derived_.insert(output);
    const auto fixed = profile_.fixed_output_ranges.find(node.op_type);
    if (fixed != profile_.fixed_output_ranges.end() && output == node.output(0))
      fixed_[output] = fixed->second;
  }

  // The longest chain of a supergroup that starts with `node`; its last node.
  const Node* EndOfSupergroup(const Node& node) {
    std::vector<const Node*> longest;
    for (const std::vector<std::string>& ops : profile_.supergroups) {
      std::vector<const Node*> chain;
      const Node* step = &node;
      for (size_t i = 0; i < ops.size() && step && step->Is(ops[i].c_str()); ++i) {
        chain.push_back(step);
        step = g_.OnlyConsumer(step->output(0));
      }
      const bool whole = chain.size() == ops.size() && chain.size() > longest.size();
      const bool free = whole && std::none_of(chain.begin(), chain.end(),
                                              [this](const Node* n) { return IsExcluded(*n); });
      if (free) longest = chain;
    }
    for (size_t i = 1; i < longest.size(); ++i) {
      plans_[longest[i]] = {Kind::kNoFloats, ""};  // no quantizers of its own
      fused_.insert(longest[i]);
    }
    return longest.empty() ? &node : longest.back();
  }

  // The value at the end of the chain of clamps that belongs to `node`.
  std::string OutputBehindClamps(const Node& node) {
    if (!profile_.supergroups.empty()) return EndOfSupergroup(node)->output(0);
    std::string value = node.output(0);
    while (const Node* reader = g_.OnlyConsumer(value)) {
      // A Min with a constant bounds from above only, hence it counts behind a Relu or Clip: that
      // is how a Clip with bounds per channel is written.
      const bool is_min = value != node.output(0) && MinDataInput(g_, *reader) &&
                          reader->inputs[*MinDataInput(g_, *reader)] == value &&
                          !IsExcluded(*reader) && sorter_.IsFloat32(reader->output(0));
      const bool is_clamp = plans_[reader].kind == Kind::kClamp && reader->input(0) == value;
      if (!is_clamp && !is_min) break;
      if (is_min) QuantizeBefore(*reader, value);
      plans_[reader] = {Kind::kClamp, ""};
      fused_.insert(reader);
      value = reader->output(0);
      const quant::Grid grid = OwnGrid(value).value_or(choice_.activations);
      if (profile_.absorb_relu && (!grid.symmetric || grid.from_zero) && FindClamp(g_, *reader))
        placement_.absorbable.push_back(value);
    }
    return value;
  }

  // A Min with bounds per channel is no clamp that an integer kernel could do on the way out: the
  // value before it lies on the same grid, so that the layer runs in integers and the Min behind
  // it. Saturating at the end of that grid, which no bound exceeds, loses nothing.
  void QuantizeBefore(const Node& min, const std::string& value) {
    wanted_.insert(value);
    derived_.insert(value);
    groups_.Union(min.output(0), value);
  }

  bool IsExcluded(const Node& node) { return plans_[&node].reason.starts_with("excluded"); }

  WeightChoice ChoiceOf(const Node& node, const std::string& value) {
    WeightChoice c{choice_.weights, choice_.weight_granularity, choice_.block_size};
    if (const GridRule* rule = rules_.OfTensor(&node, value)) {
      c.is_float = rule->float_weights;
      c.grid = rule->weights.value_or(c.grid);
      if (rule->granularity) c.granularity = *rule->granularity, c.block_size = rule->block_size;
    }
    if (const int64_t own_blocks = c.grid.block_size(); own_blocks > 0)
      c.granularity = Granularity::kBlock, c.block_size = own_blocks;
    const bool no_blocks =
        !profile_.block_ops.empty() && !profile_.block_ops.contains(node.op_type);
    if (c.granularity == Granularity::kBlock && (no_blocks || plans_[&node].dynamic))
      c.granularity = Granularity::kChannel;
    if (c.granularity == Granularity::kChannel && profile_.per_tensor_ops.contains(node.op_type))
      c.granularity = Granularity::kTensor;
    if (!c.grid.has_scale()) c.granularity = Granularity::kTensor;
    // ConvInteger takes unsigned weights only; 128 in the middle stands for the same values.
    if (plans_[&node].dynamic && node.Is("Conv") && c.grid.kind == quant::GridKind::kInteger)
      c.grid = {.bits = c.grid.bits, .is_signed = false, .symmetric = true};
    return c;
  }

  void CheckWeight(const Node& node, const WeightChoice& c) {
    const NodePlan& plan = plans_[&node];
    const std::string what = StrCat("weights of ", node.DisplayName());
    const ActivationMode mode = plan.kind != Kind::kWeights ? ActivationMode::kStatic
                                : plan.dynamic              ? ActivationMode::kDynamic
                                                            : ActivationMode::kFloat;
    Require(CheckGrid(what, c.grid, AllowedWeights(node.op_type, mode)));
    if (c.grid.scales == quant::ScaleKind::kSigned && mode != ActivationMode::kFloat)
      Require(UsageError(StrCat(what, ": scales with a sign are for layers with float inputs")));
    if (plan.dynamic && (c.grid.is_float() || BitWidth(c.grid.storage_type()) != 8))
      Require(UsageError(StrCat(what, ": dynamic quantization takes weights of 5 to 8 bits, not ",
                                c.grid.Name())));
    if (c.granularity == Granularity::kBlock && !profile_.block_sizes.empty() &&
        !profile_.block_sizes.contains(c.block_size))
      Require(UsageError(
          StrCat(what, ": target '", profile_.name, "' has no blocks of ", c.block_size)));
  }

  void AddWeight(const Node& node, const std::string& value, const Tensor& weight) {
    const WeightChoice c = ChoiceOf(node, value);
    if (c.is_float) return;
    CheckWeight(node, c);
    QuantPoint point{.value = value, .role = Role::kWeight, .grid = c.grid};
    const bool blocks = c.granularity == Granularity::kBlock;
    const WeightAxes& all = weight_axes_[value];
    const std::set<int64_t>& axes = blocks ? all.reduce : all.channel;
    if (weight.rank() >= 2 && axes.size() == 1) {
      point.granularity = c.granularity;
      point.axis = point.granularity == Granularity::kTensor ? 0 : *axes.begin();
      point.block_size = blocks ? c.block_size : 0;
    }
    AddWeightPoint(point);
  }

  void AddBiasUse(const Node& node) {
    constexpr int64_t kRank = 2;  // only MatMul, which has no bias, looks at it
    bias_uses_.push_back({node.input(2), node.input(0), node.input(1),
                          FindLayerSlots(g_, node, kRank)->bias_factor});
  }

  // A constant operand of an element-wise op or Concat is quantized like the activation that it
  // meets: integer kernels want the same type on both sides.
  void AddConstantOperand(const Node& node, const std::string& value) {
    const GridRule* rule = rules_.OfTensor(&node, value);
    if (rule && rule->float_weights) return;
    const quant::Grid grid = OwnGrid(node.output(0)).value_or(choice_.activations);
    AddWeightPoint({.value = value, .role = Role::kWeight, .grid = grid});
    operands_.insert(value);
  }

  // The grid that a rule gives to an activation.
  std::optional<quant::Grid> OwnGrid(const std::string& value) {
    const GridRule* rule = rules_.OfTensor(g_.Producer(value), value);
    return rule ? rule->activations : std::nullopt;
  }

  void AddWeightPoint(const QuantPoint& point) {
    if (weight_index_.try_emplace(point.value, weights_.size()).second) weights_.push_back(point);
  }

  // ---- 3. nodes that follow their input

  void FollowInput(const Node& node) {
    NodePlan& plan = plans_[&node];
    const bool follows =
        plan.kind == Kind::kPassThrough || (plan.kind == Kind::kClamp && !fused_.contains(&node));
    if (!follows) return;
    if (!wanted_.contains(node.input(0))) {
      plan = {Kind::kFloat, "its input is not quantized"};
      return;
    }
    for (const std::string& output : node.outputs) {
      if (output.empty() || !sorter_.IsFloat32(output)) continue;
      wanted_.insert(output);
      if (plan.kind != Kind::kPassThrough) continue;
      groups_.Union(node.input(0), output);
      derived_.insert(output);
    }
  }

  void ApplyInterfaceRules() {
    if (!profile_.quantize_graph_inputs)
      for (const auto& input : g_.inputs) wanted_.erase(input.name);
    if (!profile_.quantize_graph_outputs)
      for (const auto& output : g_.outputs) wanted_.erase(output.name);
    // A rule for a tensor by name has the last word.
    std::erase_if(wanted_, [this](const std::string& value) {
      const GridRule* rule = rules_.OfTensor(g_.Producer(value), value);
      return rule && !rule->tensor.empty() && rule->mode == ActivationMode::kFloat;
    });
  }

  // ---- 4. the points

  int GroupNumber(const std::string& value) {
    return group_numbers_.try_emplace(groups_.Find(value), group_numbers_.size()).first->second;
  }

  void EmitActivation(const std::string& value) {
    if (!wanted_.contains(value) || !emitted_.insert(value).second) return;
    QuantPoint point{.value = value, .group = GroupNumber(value)};
    // The first rule in a group that shares a range speaks for all of it.
    if (const auto own = OwnGrid(value)) group_grids_.try_emplace(point.group, *own);
    point.derived = derived_.contains(value);
    if (const auto fixed = fixed_.find(value); fixed != fixed_.end()) {
      point.fixed_range = true;
      point.range_min = fixed->second.min;
      point.range_max = fixed->second.max;
    }
    placement_.points.push_back(std::move(point));
  }

  void EmitActivations() {
    for (const auto& input : g_.inputs) EmitActivation(input.name);
    for (const auto& node : g_.nodes())
      for (const std::string& output : node->outputs) EmitActivation(output);
    // Where the interface rules took away what values derive from, they are observed themselves.
    std::set<int> observed;
    for (const QuantPoint& point : placement_.points)
      if (!point.derived) observed.insert(point.group);
    for (QuantPoint& point : placement_.points) {
      point.derived &= observed.contains(point.group);
      point.grid = GroupGrid(point.group);
      if (point.fixed_range && point.grid.bits == 16) UseFixedRange16(&point);
      CheckActivation(point);
    }
  }

  void UseFixedRange16(QuantPoint* point) const {
    const Node* producer = g_.Producer(point->value);
    const auto fixed = profile_.fixed_output_ranges_16.find(producer ? producer->op_type : "");
    if (fixed == profile_.fixed_output_ranges_16.end()) return;
    point->range_min = fixed->second.min;
    point->range_max = fixed->second.max;
  }

  quant::Grid GroupGrid(int group) const {
    const auto own = group_grids_.find(group);
    return own == group_grids_.end() ? choice_.activations : own->second;
  }

  void CheckActivation(const QuantPoint& point) {
    const Node* producer = g_.Producer(point.value);
    if (!TakesActivations(point.grid))
      Require(UsageError(StrCat("activation '", point.value, "': ", point.grid.Name(),
                                " is a format of weights")));
    const auto own = profile_.op_activation_grids.find(producer ? producer->op_type : "");
    const bool listed = own != profile_.op_activation_grids.end();
    Require(CheckGrid(StrCat("activation '", point.value, "'"), point.grid,
                      listed ? own->second : profile_.activation_grids));
  }

  void EmitWeights() {
    for (QuantPoint& point : weights_) {
      // Constants that meet activations in a Concat share the range of its group.
      if (operands_.contains(point.value) && groups_.Find(point.value) != point.value) {
        point.group = GroupNumber(point.value);
        point.grid = GroupGrid(point.group);
      }
      placement_.points.push_back(point);
    }
  }

  // Why a bias stays float; "" if it can be int32.
  std::string BiasProblem(const BiasUse& use, const std::vector<const BiasUse*>& uses) {
    const Tensor* bias = g_.Constant(use.value);
    const Tensor* weight = g_.Constant(use.weight);
    if (!bias) return "not constant";
    for (const BiasUse* other : uses)
      if (other->input != use.input || other->weight != use.weight || other->factor != use.factor)
        return "shared by nodes whose scales differ";
    if (weight_index_.contains(use.value)) return "also used as an operand";
    if (!emitted_.contains(use.input)) return "the layer's input is not quantized";
    if (!weight_index_.contains(use.weight)) return "the weight is not quantized";
    const QuantPoint& point = weights_[weight_index_.at(use.weight)];
    if (point.granularity == Granularity::kBlock) return "the weight is quantized in blocks";
    if (point.grid.is_float() || GroupGrid(GroupNumber(use.input)).is_float())
      return "its layer computes in floats";
    if (!(use.factor > 0 && use.factor < 1e30)) return "alpha / beta is not positive";
    if (bias->rank() != 1) return StrCat("has shape ", ShapeString(bias->shape()));
    const int64_t channels =
        point.granularity == Granularity::kChannel ? weight->dim(point.axis) : 1;
    if (channels == 0 || bias->dim(0) % channels != 0)
      return StrCat(bias->dim(0), " values for ", channels, " channels");
    return "";
  }

  void EmitBiases() {
    if (!profile_.quantize_bias) return;
    std::map<std::string, std::vector<const BiasUse*>> by_value;
    std::vector<std::string> order;
    for (const BiasUse& use : bias_uses_) {
      auto& uses = by_value[use.value];
      if (uses.empty()) order.push_back(use.value);
      uses.push_back(&use);
    }
    for (const std::string& value : order) {
      const BiasUse& use = *by_value[value].front();
      const std::string problem = BiasProblem(use, by_value[value]);
      if (!problem.empty()) {
        placement_.float_nodes.push_back({value, "bias", problem});
        continue;
      }
      const QuantPoint& weight = weights_[weight_index_.at(use.weight)];
      placement_.points.push_back({.value = value,
                                   .role = Role::kBias,
                                   .grid = {.bits = 32, .is_signed = true, .symmetric = true},
                                   .granularity = weight.granularity,
                                   .bias_input = use.input,
                                   .bias_weight = use.weight,
                                   .bias_factor = use.factor});
    }
  }

  void EmitFloatNodes() {
    for (const auto& node : g_.nodes()) {
      const NodePlan& plan = plans_[node.get()];
      if (plan.kind == Kind::kFloat)
        placement_.float_nodes.push_back({node->DisplayName(), node->op_type, plan.reason});
    }
  }

  const Graph& g_;
  const Profile& profile_;
  const GridChoice& choice_;
  NodeSorter sorter_;
  RuleSet rules_;
  Status problem_;  // the first one
  std::unordered_map<const Node*, NodePlan> plans_;
  std::unordered_map<std::string, WeightAxes> weight_axes_;
  std::set<std::string> operands_;                    // constants that meet activations
  std::map<int, quant::Grid> group_grids_;            // where a rule says so
  std::set<std::string> wanted_, derived_, emitted_;  // activations
  std::set<const Node*> fused_;                       // clamps that belong to the node before them
  std::map<std::string, Profile::FixedRange> fixed_;
  std::vector<QuantPoint> weights_;
  std::unordered_map<std::string, size_t> weight_index_;
  std::vector<BiasUse> bias_uses_;
  Groups groups_;
  std::unordered_map<std::string, int> group_numbers_;
  Placement placement_;
};

}  // namespace

Result<Placement> Place(const graph::Model& model, const Profile& profile,
                        const GridChoice& choice) {
  return Placer(model, profile, choice).Run();
}

}  // namespace roundel::target
