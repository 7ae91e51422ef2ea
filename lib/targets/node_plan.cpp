#include "lib/targets/node_plan.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/bodies.h"
#include "lib/graph/value_types.h"
#include "lib/targets/grid_check.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/log_spectra.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {

using graph::Node;
using Kind = NodePlan::Kind;

NodeSorter::NodeSorter(const graph::Model& model, const Profile& profile, const GridChoice& choice)
    : g_(*model.graph),
      profile_(profile),
      choice_(choice),
      types_(graph::InferValueTypes(model)),
      // A target without anchors has no float fallback, so that spectra are not searched.
      spectra_(profile.anchors.empty() ? std::unordered_set<const Node*>()
                                       : FindLogSpectra(*model.graph)) {}

Status NodeSorter::Prepare() {
  for (const std::string& text : choice_.exclude) {
    auto pattern = Pattern::Compile(text);
    if (!pattern.ok()) return std::move(pattern).status().At("exclude");
    excludes_.push_back({*std::move(pattern)});
  }
  return OkStatus();
}

std::vector<std::string> NodeSorter::UnmatchedExcludes() const {
  std::vector<std::string> texts;
  for (const Exclude& exclude : excludes_)
    if (!exclude.matched) texts.push_back(exclude.pattern.text());
  return texts;
}

DType NodeSorter::TypeOf(const std::string& value) const {
  const auto it = types_.find(value);
  return it == types_.end() ? DType::kUndefined : it->second;
}

bool NodeSorter::HasFloats(const Node& node) const {
  const auto is_float = [this](const std::string& value) { return IsFloating(TypeOf(value)); };
  return std::any_of(node.inputs.begin(), node.inputs.end(), is_float) ||
         std::any_of(node.outputs.begin(), node.outputs.end(), is_float);
}

NodePlan NodeSorter::Sort(const Node& node, const GridRule* rule) {
  if (node.domain == graph::kBodyDomain) return {};
  for (Exclude& exclude : excludes_) {
    const bool hit =
        exclude.pattern.Matches(node.NameOrOutput()) || exclude.pattern.Matches(node.op_type);
    if (!hit) continue;
    exclude.matched = true;
    if (!HasFloats(node)) return {};
    return {Kind::kFloat, StrCat("excluded by '", exclude.pattern.text(), "'")};
  }
  if (node.Is("Constant") || node.Is("Shape") || node.Is("Size")) return {};
  const ActivationMode mode = rule && rule->mode ? *rule->mode : choice_.mode;
  // Log spectra stay float on coarse grids, unless a rule for the node gives its grid or mode.
  constexpr int kCoarse = 8;
  const bool coarse = mode == ActivationMode::kDynamic ||
                      (mode == ActivationMode::kStatic && !choice_.activations.is_float() &&
                       choice_.activations.bits <= kCoarse);
  if (coarse && !(rule && (rule->mode || rule->activations)) && spectra_.contains(&node))
    return HasFloats(node) ? NodePlan{Kind::kFloat,
                                      "leads to the logarithm of a magnitude, whose small values "
                                      "8 bits cannot represent"}
                           : NodePlan{};
  return mode == ActivationMode::kStatic ? SortStatic(node) : SortWeights(node, rule, mode);
}

NodePlan NodeSorter::SortWithoutRanges(const Node& node, const GridRule* rule,
                                       const std::string& why) {
  if (!profile_.modes.empty() && !profile_.modes.contains("float")) return {Kind::kFloat, why};
  NodePlan plan = SortWeights(node, rule, ActivationMode::kFloat);
  if (plan.kind != Kind::kWeights) plan = {Kind::kFloat, why};
  return plan;
}

NodePlan NodeSorter::SortStatic(const Node& node) const {
  const std::string op = node.domain.empty() ? node.op_type : node.domain + "." + node.op_type;
  const auto policy = profile_.ops.find(op);
  if (policy == profile_.ops.end() || policy->second == OpPolicy::kFloat) {
    if (!HasFloats(node)) return {};
    if (IsFloatLayer(node)) return RunsInFloat(op);
    if (HoldsWeights(node))
      return {Kind::kFloat, StrCat("op ", op, " has no form with its weights as codes")};
    return {Kind::kFloat, StrCat("op ", op, " is not in the profile")};
  }
  if (const std::string problem = TypeProblem(node); !problem.empty())
    return {Kind::kFloat, problem};
  if (!HasFloats(node) || !IsFloat32(node.output(0))) return {};
  if (node.Is("Relu") || node.Is("Clip")) return {Kind::kClamp, ""};
  if (policy->second == OpPolicy::kPassThrough)
    return {KeepsValues(g_, node) ? Kind::kPassThrough : Kind::kQuantized, ""};
  if (policy->second == OpPolicy::kShared) return {Kind::kShared, ""};
  if (graph::IsLayerOp(node)) {
    const std::string problem = LayerProblem(node);
    if (!problem.empty()) return {Kind::kFloat, problem};
  }
  return {Kind::kQuantized, ""};
}

// A layer that runtimes compute in float: codes make it smaller, but several times slower.
NodePlan NodeSorter::RunsInFloat(const std::string& op) {
  return {Kind::kFloat,
          StrCat("runs in float, where codes would be dequantized in every run; a rule {op: ", op,
                 ", activations: float} quantizes its weights anyway")};
}

// A node whose activations stay float, or are quantized at run time.
NodePlan NodeSorter::SortWeights(const Node& node, const GridRule* rule,
                                 ActivationMode mode) const {
  if (!HasFloats(node)) return {};
  if (rule && rule->tensor.empty() && rule->float_weights)
    return {Kind::kFloat, "a rule leaves it float"};
  const std::string op = node.domain.empty() ? node.op_type : node.domain + "." + node.op_type;
  const bool known =
      profile_.weight_only_ops.contains(op) && !graph::FindWeightSlots(g_, node, 2).empty();
  if (!known && HoldsWeights(node))
    return {Kind::kFloat, StrCat("op ", op, " has no form with its weights as codes")};
  if (!known) return {Kind::kFloat, "activations stay float"};
  const bool dynamic = mode == ActivationMode::kDynamic;
  if (dynamic && IsFloatLayer(node) && !HasDynamicForm(node)) return RunsInFloat(op);
  std::string problem = WeightsProblem(node, dynamic);
  if (!problem.empty()) return {Kind::kFloat, std::move(problem)};
  return {Kind::kWeights, "", dynamic};
}

// com.microsoft has an LSTM that quantizes at run time, for time-first layout only, and QAttention,
// which supports neither heads of different sizes nor a bias that is added to the scores.
bool NodeSorter::HasDynamicForm(const Node& node) const {
  const bool contrib = profile_.contrib_qdq || profile_.domains.contains("com.microsoft");
  if (node.Is("LSTM")) return node.Int("layout", 0) == 0 && contrib;
  return node.Is("Attention", "com.microsoft") && node.Ints("qkv_hidden_sizes").empty() &&
         !node.input(2).empty() && node.input(5).empty() && node.input(6).empty();
}

// An operator of com.microsoft with constant matrices among its inputs.
bool NodeSorter::HoldsWeights(const Node& node) const {
  return node.domain == "com.microsoft" &&
         std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
           const Tensor* value = input.empty() ? nullptr : g_.Constant(input);
           return value && value->rank() >= 2 && IsFloating(value->dtype());
         });
}

std::string NodeSorter::WeightsProblem(const Node& node, bool dynamic) const {
  if (dynamic && !node.Is("MatMul") && !node.Is("Gemm") && !node.Is("Conv") && !IsFloatLayer(node))
    return node.op_type + " has no form that quantizes at run time";
  if (dynamic && node.Is("Gemm") && node.Int("transA", 0) != 0) return "its input is transposed";
  if (dynamic && node.Is("Conv") &&
      !GridAllowed({.bits = 8, .symmetric = true},
                   AllowedWeights(profile_, node.op_type, ActivationMode::kDynamic)))
    return "ConvInteger takes unsigned weights, which the target does not";
  for (const graph::LayerSlots& slots : graph::FindWeightSlots(g_, node, 2)) {
    const Tensor* weight = g_.Constant(node.input(slots.weight));
    if (weight && dynamic && slots.weight == 0) return "its weight is on the left";
    if (!weight) return "no constant weight";
    if (weight->dtype() != DType::kFloat)
      return StrCat("its weight is ", DTypeName(weight->dtype()), "; only float32 is quantized");
    const bool wide = node.Is("Conv") || node.Is("ConvTranspose") || IsRecurrent(node);
    if (weight->rank() < (wide ? 3 : 2))
      return StrCat("weight has shape ", ShapeString(weight->shape()));
  }
  const Tensor* weight = g_.Constant(node.input(0));
  if (node.Is("Gather") && (node.Int("axis", 0) != 0 || weight->rank() != 2))
    return "is not a lookup of rows in a table";
  return "";
}

std::string NodeSorter::TypeProblem(const Node& node) const {
  std::vector<std::string> values;
  for (const size_t i : DataInputs(node)) values.push_back(node.input(i));
  values.push_back(node.output(0));
  for (const std::string& value : values) {
    if (value.empty()) continue;
    const DType type = TypeOf(value);
    if (type == DType::kUndefined) return StrCat("the type of '", value, "' is not known");
    if (IsFloating(type) && type != DType::kFloat)
      return StrCat("its tensors are ", DTypeName(type), "; only float32 is quantized");
  }
  return "";
}

// MatMul also multiplies activations; the others have no integer kernel without a constant weight.
std::string NodeSorter::LayerProblem(const Node& node) const {
  const Tensor* weight = g_.Constant(node.input(1));
  if (!weight && g_.FindInitializer(node.input(1)) && g_.IsInput(node.input(1)))
    return "weight is a graph input, which a caller may replace";
  if (!weight) return node.Is("MatMul") ? "" : "weight is not constant";
  const bool fits =
      node.Is("Gemm") ? weight->rank() == 2 : node.Is("MatMul") || weight->rank() >= 3;
  return fits ? "" : StrCat("weight has shape ", ShapeString(weight->shape()));
}

}  // namespace roundel::target
