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

#include <algorithm>
#include <regex>
#include <set>
#include <unordered_map>
#include <utility>

#include "lib/base/text.h"
#include "lib/target/op_facts.h"
#include "lib/target/profile.h"
#include "lib/target/value_types.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;
using quant::Granularity;
using quant::Role;

// ---- excluded nodes

// Node names longer than this are not searched with regular expressions.
constexpr size_t kMaxNameLength = 4096;

struct Pattern {
  std::string text;
  std::optional<std::regex> regex;
  bool matched = false;

  bool Matches(const std::string& name) const {
    if (!regex) return name == text;
    return name.size() <= kMaxNameLength && std::regex_match(name, *regex);
  }
};

Result<Pattern> CompilePattern(const std::string& text) {
  if (!text.starts_with("re:")) return Pattern{text, std::nullopt};
  try {
    auto flags = std::regex::ECMAScript;
#ifdef __GLIBCXX__
    flags |= std::regex_constants::__polynomial;  // no exponential time, no deep recursion
#endif
    return Pattern{text, std::regex(text.substr(3), flags)};
  } catch (const std::regex_error& error) {
    return UsageError(StrCat("exclude: '", text, "' is no regular expression: ", error.what()));
  }
}

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

bool AnyFloating(const std::unordered_map<std::string, DType>& types,
                 const std::vector<std::string>& values) {
  return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
    const auto it = types.find(value);
    return it != types.end() && IsFloating(it->second);
  });
}

enum class Kind { kNoFloats, kFloat, kQuantized, kPassThrough, kShared, kClamp };

struct NodePlan {
  Kind kind = Kind::kNoFloats;
  std::string reason;  // kFloat
};

struct BiasUse {
  std::string value, input, weight;
  double factor;
};

class Placer {
 public:
  Placer(const graph::Model& model, const Profile& profile, const GridChoice& choice)
      : g_(*model.graph), profile_(profile), choice_(choice), types_(InferValueTypes(model)) {}

  Result<Placement> Run() {
    RETURN_IF_ERROR(CheckChoice());
    for (const std::string& text : choice_.exclude) {
      ASSIGN_OR_RETURN(Pattern pattern, CompilePattern(text));
      excludes_.push_back(std::move(pattern));
    }
    for (const auto& node : g_.nodes()) plans_[node.get()] = Classify(*node);
    CollectWeightAxes();
    for (const auto& node : g_.nodes()) {
      const Kind kind = plans_[node.get()].kind;
      if (kind == Kind::kQuantized || kind == Kind::kShared) PlaceAround(*node);
    }
    for (const auto& node : g_.nodes()) FollowInput(*node);
    ApplyInterfaceRules();
    EmitActivations();
    EmitWeights();
    EmitBiases();
    EmitFloatNodes();
    for (const Pattern& pattern : excludes_)
      if (!pattern.matched) placement_.unmatched_excludes.push_back(pattern.text);
    return std::move(placement_);
  }

 private:
  // ---- 1. sorting nodes

  Status CheckChoice() const {
    RETURN_IF_ERROR(CheckGrid("activations", choice_.activations, profile_.activation_grids));
    RETURN_IF_ERROR(CheckGrid("weights", choice_.weights, profile_.weight_grids));
    if (choice_.weight_granularity == Granularity::kBlock && choice_.block_size < 1)
      return UsageError("weights: blocks need a block size of at least 1");
    if (choice_.activations.narrow_range)
      return UsageError("activations: a narrow range has no QuantizeLinear; leave 'narrow' out");
    return OkStatus();
  }

  Status CheckGrid(const char* what, const quant::Grid& grid,
                   const std::set<std::string>& allowed) const {
    const std::string type = Split(grid.Name(), ' ')[0];
    if (grid.bits < 2 || grid.bits > 16)
      return UsageError(StrCat(what, ": ", grid.bits, " bits; 2 to 16 are possible"));
    if (allowed.empty() || allowed.contains(type)) return OkStatus();
    return UsageError(StrCat(what, ": target '", profile_.name, "' has no ", type, "; allowed: ",
                             Join(std::vector<std::string>(allowed.begin(), allowed.end()))));
  }

  DType TypeOf(const std::string& value) const {
    const auto it = types_.find(value);
    return it == types_.end() ? DType::kUndefined : it->second;
  }
  bool IsFloat32(const std::string& value) const { return TypeOf(value) == DType::kFloat; }

  NodePlan Classify(const Node& node) {
    for (Pattern& pattern : excludes_) {
      const bool hit = pattern.Matches(node.name.empty() ? node.output(0) : node.name) ||
                       pattern.Matches(node.op_type);
      if (!hit) continue;
      pattern.matched = true;
      if (!HasFloats(node)) return {};
      return {Kind::kFloat, StrCat("excluded by '", pattern.text, "'")};
    }
    if (node.Is("Constant") || node.Is("Shape") || node.Is("Size")) return {};
    const std::string op = node.domain.empty() ? node.op_type : node.domain + "." + node.op_type;
    const auto policy = profile_.ops.find(op);
    if (policy == profile_.ops.end() || policy->second == OpPolicy::kFloat) {
      if (!HasFloats(node)) return {};
      return {Kind::kFloat, StrCat("op ", op, " is not in the profile")};
    }
    for (const std::string* value : DataValues(node)) {
      const DType type = TypeOf(*value);
      if (type == DType::kUndefined)
        return {Kind::kFloat, StrCat("the type of '", *value, "' is not known")};
      if (IsFloating(type) && type != DType::kFloat)
        return {Kind::kFloat,
                StrCat("its tensors are ", DTypeName(type), "; only float32 is quantized")};
    }
    if (!HasFloats(node) || !IsFloat32(node.output(0))) return {};
    if (node.Is("Relu") || node.Is("Clip")) return {Kind::kClamp, ""};
    if (policy->second == OpPolicy::kPassThrough)
      return {KeepsValues(g_, node) ? Kind::kPassThrough : Kind::kQuantized, ""};
    if (policy->second == OpPolicy::kShared) return {Kind::kShared, ""};
    if (IsLayer(node)) {
      const std::string problem = LayerProblem(node);
      if (!problem.empty()) return {Kind::kFloat, problem};
    }
    return {Kind::kQuantized, ""};
  }

  // MatMul multiplies activations too; the others have no integer kernel without a constant weight.
  std::string LayerProblem(const Node& node) const {
    const Tensor* weight = g_.Constant(node.input(1));
    if (!weight && g_.FindInitializer(node.input(1)) && g_.IsInput(node.input(1)))
      return "weight is a graph input, which a caller may replace";
    if (!weight) return node.Is("MatMul") ? "" : "weight is not constant";
    const bool fits =
        node.Is("Gemm") ? weight->rank() == 2 : node.Is("MatMul") || weight->rank() >= 3;
    return fits ? "" : StrCat("weight has shape ", ShapeString(weight->shape()));
  }

  std::vector<const std::string*> DataValues(const Node& node) const {
    std::vector<const std::string*> values;
    for (const size_t i : DataInputs(node))
      if (!node.input(i).empty()) values.push_back(&node.inputs[i]);
    if (!node.output(0).empty()) values.push_back(&node.outputs[0]);
    return values;
  }

  bool HasFloats(const Node& node) const {
    return AnyFloating(types_, node.inputs) || AnyFloating(types_, node.outputs);
  }

  // ---- 2. quantized nodes

  // A weight that layers use along different axes can only have one scale.
  void CollectWeightAxes() {
    for (const auto& node : g_.nodes()) {
      if (plans_[node.get()].kind != Kind::kQuantized || !IsLayer(*node)) continue;
      const Tensor* weight = g_.Constant(node->input(1));
      if (!weight) continue;
      const LayerSlots slots = *FindLayerSlots(*node, weight->rank());
      const bool blocks = choice_.weight_granularity == Granularity::kBlock;
      weight_axes_[node->inputs[1]].insert(blocks ? slots.reduce_axis : slots.channel_axis);
    }
  }

  void PlaceAround(const Node& node) {
    const bool shared = plans_[&node].kind == Kind::kShared;
    const bool layer = IsLayer(node);
    for (const size_t i : DataInputs(node)) {
      const std::string& value = node.input(i);
      if (value.empty() || !IsFloat32(value)) continue;
      const Tensor* constant = g_.Constant(value);
      if (layer && i == 1 && constant)
        AddWeight(value, *constant);
      else if (layer && i == 2)
        AddBiasUse(node);
      else if (constant)
        AddConstantOperand(value);
      else
        wanted_.insert(value);
      if (shared) groups_.Union(node.output(0), value);
    }
    const std::string output = shared ? node.output(0) : OutputBehindClamps(node);
    wanted_.insert(output);
    if (shared) derived_.insert(output);
    const auto fixed = profile_.fixed_output_ranges.find(node.op_type);
    if (fixed != profile_.fixed_output_ranges.end() && output == node.output(0))
      fixed_[output] = fixed->second;
  }

  // The value at the end of the chain of clamps that belongs to `node`.
  std::string OutputBehindClamps(const Node& node) {
    std::string value = node.output(0);
    while (const Node* reader = g_.OnlyConsumer(value)) {
      // A Min with a constant bounds from above only, hence it counts behind a Relu or Clip: that
      // is how a Clip with bounds per channel is written.
      const bool is_min = value != node.output(0) && MinDataInput(g_, *reader) &&
                          reader->inputs[*MinDataInput(g_, *reader)] == value &&
                          !IsExcluded(*reader) && IsFloat32(reader->output(0));
      const bool is_clamp = plans_[reader].kind == Kind::kClamp && reader->input(0) == value;
      if (!is_clamp && !is_min) break;
      if (is_min) QuantizeBefore(*reader, value);
      plans_[reader] = {Kind::kClamp, ""};
      fused_.insert(reader);
      value = reader->output(0);
      if (profile_.absorb_relu && !choice_.activations.symmetric && FindClamp(g_, *reader))
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

  void AddWeight(const std::string& value, const Tensor& weight) {
    QuantPoint point{.value = value, .role = Role::kWeight, .grid = choice_.weights};
    const std::set<int64_t>& axes = weight_axes_[value];
    const bool blocks = choice_.weight_granularity == Granularity::kBlock;
    if (weight.rank() >= 2 && axes.size() == 1) {
      point.granularity = choice_.weight_granularity;
      point.axis = point.granularity == Granularity::kTensor ? 0 : *axes.begin();
      point.block_size = blocks ? choice_.block_size : 0;
    }
    AddWeightPoint(point);
  }

  void AddBiasUse(const Node& node) {
    constexpr int64_t kRank = 2;  // only MatMul, which has no bias, looks at it
    bias_uses_.push_back(
        {node.input(2), node.input(0), node.input(1), FindLayerSlots(node, kRank)->bias_factor});
  }

  // A constant operand of an element-wise op or Concat is quantized like the activation that it
  // meets: integer kernels want the same type on both sides.
  void AddConstantOperand(const std::string& value) {
    AddWeightPoint({.value = value, .role = Role::kWeight, .grid = choice_.activations});
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
      if (output.empty() || !IsFloat32(output)) continue;
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
  }

  // ---- 4. the points

  int GroupNumber(const std::string& value) {
    return group_numbers_.try_emplace(groups_.Find(value), group_numbers_.size()).first->second;
  }

  void EmitActivation(const std::string& value) {
    if (!wanted_.contains(value) || !emitted_.insert(value).second) return;
    QuantPoint point{.value = value, .grid = choice_.activations, .group = GroupNumber(value)};
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
    for (QuantPoint& point : placement_.points) point.derived &= observed.contains(point.group);
  }

  void EmitWeights() {
    for (QuantPoint& point : weights_) {
      // Constants that meet activations in a Concat share the range of its group.
      if (point.grid == choice_.activations && groups_.Find(point.value) != point.value)
        point.group = GroupNumber(point.value);
      placement_.points.push_back(point);
    }
  }

  // Why a bias stays float; "" if it can be int32.
  std::string BiasProblem(const BiasUse& use, const std::vector<const BiasUse*>& uses) const {
    const Tensor* bias = g_.Constant(use.value);
    const Tensor* weight = g_.Constant(use.weight);
    if (!bias) return "not constant";
    for (const BiasUse* other : uses)
      if (other->input != use.input || other->weight != use.weight || other->factor != use.factor)
        return "shared by nodes whose scales differ";
    if (weight_index_.contains(use.value)) return "also used as an operand";
    if (!emitted_.contains(use.input)) return "the layer's input is not quantized";
    const QuantPoint& point = weights_[weight_index_.at(use.weight)];
    if (point.granularity == Granularity::kBlock) return "the weight is quantized in blocks";
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
  const std::unordered_map<std::string, DType> types_;
  std::vector<Pattern> excludes_;
  std::unordered_map<const Node*, NodePlan> plans_;
  std::unordered_map<std::string, std::set<int64_t>> weight_axes_;
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
