#include "lib/targets/node_types.h"

#include <algorithm>

#include "lib/graph/widen.h"
#include "lib/targets/float_slots.h"
#include "lib/targets/graph_edit.h"
#include "lib/targets/half_range.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

constexpr int64_t kManyWeights = 64;

bool IsConstantDequantize(const Graph& g, const Node& node) {
  return IsDequantizeNode(node) && g.Constant(node.input(0));
}

// Sums of products of codes may exceed the range of 16-bit floats before they are scaled.
bool IsIntegerSum(const Node* node) {
  return node && (node->Is("MatMulInteger") || node->Is("ConvInteger"));
}

// ONNX Runtime 1.30 crashes when it fuses a Transpose of the first axis of such a type with the
// MatMul that follows.
bool CrashesRuntime(const Graph& g, const Node& node) {
  if (!node.Is("Transpose")) return false;
  const std::vector<int64_t> perm = node.Ints("perm");
  if (perm.size() < 3 || perm.front() == 0 || perm.back() != static_cast<int64_t>(perm.size()) - 1)
    return false;
  const std::vector<graph::Use>& uses = g.Uses(node.output(0));
  return std::any_of(uses.begin(), uses.end(),
                     [](const graph::Use& use) { return use.node->Is("MatMul"); });
}

}  // namespace

NarrowOptions NarrowOptionsOf(const Profile& profile) {
  return {profile.float_types, profile.scale_types, profile.max_opset};
}

NodeTypes::NodeTypes(const Graph& graph, bool is_body, const FloatTypes& types, const Types& now,
                     const NarrowOptions& options, int64_t opset)
    : g_(graph), is_body_(is_body), types_(types), now_(now), options_(options), opset_(opset) {
  for (const auto& node : g_.nodes()) {
    const DType type = Natural(*node);
    const bool narrow = type != DType::kFloat && !MustBeFloat32(*node, type);
    final_[node.get()] = narrow ? type : DType::kFloat;
  }
  JoinIslands();
  SettleConstants();
}

DType NodeTypes::Of(const Node& node) const {
  const auto found = final_.find(&node);
  return found == final_.end() ? DType::kFloat : found->second;
}

bool NodeTypes::IsFloatBias(const Node& node) const { return float_biases_.contains(&node); }

bool NodeTypes::IsFloat(const std::string& value) const {
  const auto type = now_.find(value);
  return type != now_.end() && type->second == DType::kFloat;
}

DType NodeTypes::Wanted(const std::string& value) const {
  const auto type = types_.find(value);
  return type != types_.end() && options_.computes.contains(type->second) ? type->second
                                                                          : DType::kFloat;
}

DType NodeTypes::Natural(const Node& node) {
  // A request for a type that is still being determined is ignored.
  const auto [known, fresh] = natural_.try_emplace(&node, DType::kUndefined);
  if (!fresh) return known->second;
  const DType type = NaturalOf(node);
  return natural_[&node] = type == DType::kUndefined ? DType::kFloat : type;
}

DType NodeTypes::NaturalOf(const Node& node) {
  for (const std::string& output : node.outputs)
    if (types_.contains(output)) return Wanted(output);
  if (IsConstantDequantize(g_, node)) return OfReaders(node);
  const Node* before = g_.Producer(node.input(0));
  if (IsDequantizeNode(node) && before && IsQuantizeNode(*before)) return Natural(*before);
  const DType type = OfInputs(node);
  return type == DType::kUndefined ? OfReaders(node) : type;
}

DType NodeTypes::OfInputs(const Node& node) {
  for (const std::string& input : node.inputs) {
    if (!IsFloat(input)) continue;
    if (types_.contains(input)) return Wanted(input);
    const Node* producer = g_.Producer(input);
    if (!producer || producer->Is("Constant")) continue;
    if (const DType type = Natural(*producer); type != DType::kUndefined) return type;
  }
  return DType::kUndefined;
}

DType NodeTypes::OfReaders(const Node& node) {
  for (const std::string& output : node.outputs)
    for (const graph::Use& use : g_.Uses(output))
      if (const DType type = Natural(*use.node); type != DType::kUndefined) return type;
  return DType::kUndefined;
}

bool NodeTypes::MustBeFloat32(const Node& node, DType type) const {
  if (IsQuantizeNode(node) || IsDequantizeNode(node)) {
    if (!QuantizerFits(node, type)) return true;
  } else if (IsFloat32Only(node, opset_)) {
    return true;
  }
  if (CrashesRuntime(g_, node)) return true;
  if (node.Is("Cast") && IsIntegerSum(g_.Producer(node.input(0)))) return true;
  const bool packed =
      node.Is("MatMulNBits", kContribDomain) || node.Is("GatherBlockQuantized", kContribDomain);
  if (packed && is_body_) return true;
  if (packed && !ScaleFits(node.input(2), static_cast<int>(node.Int("bits", 4)), type)) return true;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Tensor* constant = IsFloat(node.inputs[i]) ? g_.Constant(node.inputs[i]) : nullptr;
    if (constant && InputSlot(node, i, opset_) == FloatSlot::kNode &&
        FitOf(node, *constant, type) == HalfFit::kTooLarge)
      return true;
  }
  return ReadsFloat32Codes(node);
}

// QuantizeLinear and DequantizeLinear accept scales of 16 bits since opset 19, of float64 never.
bool NodeTypes::QuantizerFits(const Node& node, DType type) const {
  if (!graph::IsHalf(type) || !node.domain.empty() || IsFloat32Only(node, opset_)) return false;
  if (is_body_ || node.FindAttribute("output_dtype")) return false;
  const bool constant = IsConstantDequantize(g_, node);
  if (!constant && !options_.scales.contains(type)) return false;
  const auto codes = now_.find(IsDequantizeNode(node) ? node.input(0) : node.output(0));
  const bool bias = constant && codes->second == DType::kInt32;
  return bias || (codes != now_.end() && ScaleFits(node.input(1), BitWidth(codes->second), type));
}

bool NodeTypes::ScaleFits(const std::string& scale, int bits, DType type) const {
  const Tensor* constant = g_.Constant(scale);
  return constant && constant->dtype() == DType::kFloat &&
         ScalesFit(constant->span<float>(), bits, type);
}

// A value that is not in the file, from a node that computes in float32.
bool NodeTypes::ReadsFloat32Codes(const Node& node) const {
  return std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
    const Node* producer = IsFloat(input) && !types_.contains(input) ? g_.Producer(input) : nullptr;
    if (producer && IsDequantizeNode(*producer) && !IsConstantDequantize(g_, *producer) &&
        !graph::IsLayerOp(node))
      return false;  // JoinIslands checks the readers of the node
    const auto type = producer ? final_.find(producer) : final_.end();
    return type != final_.end() && type->second == DType::kFloat && !producer->Is("Constant");
  });
}

// Whether all readers of the node's floats compute in float32. A node with large weights keeps its
// type.
bool NodeTypes::LeadsToFloat32(const Node& node) const {
  bool any = false;
  for (const std::string& input : node.inputs) {
    const Tensor* constant = IsFloat(input) ? g_.Constant(input) : nullptr;
    if (constant && constant->rank() > 1 && constant->size() > kManyWeights) return false;
  }
  for (const std::string& output : node.outputs) {
    if (!IsFloat(output)) continue;
    if (g_.IsOutput(output)) return false;
    for (const graph::Use& use : g_.Uses(output)) {
      if (Of(*use.node) != DType::kFloat) return false;
      any = true;
    }
  }
  return any;
}

// Nodes between two nodes of an island belong to it: Conv -> Relu -> QuantizeLinear.
void NodeTypes::JoinIslands() {
  const auto before = final_;
  for (auto node = g_.nodes().rbegin(); node != g_.nodes().rend(); ++node)
    if (Of(**node) != DType::kFloat && !IsConstantDequantize(g_, **node) && LeadsToFloat32(**node))
      final_[node->get()] = DType::kFloat;
  // Of those, only the ones that depend on a node of the island.
  for (const auto& node : g_.nodes()) {
    if (before.at(node.get()) == Of(*node)) continue;
    const bool inside =
        std::any_of(node->inputs.begin(), node->inputs.end(), [&](const std::string& input) {
          const Node* producer = IsFloat(input) ? g_.Producer(input) : nullptr;
          return producer && Of(*producer) == DType::kFloat &&
                 natural_.at(producer) != DType::kFloat;
        });
    if (!inside) final_[node.get()] = before.at(node.get());
  }
}

// Weights have the type of the layer that reads them.
void NodeTypes::SettleConstants() {
  for (const auto& node : g_.nodes()) {
    if (!IsConstantDequantize(g_, *node) || Of(*node) == DType::kFloat) continue;
    const std::vector<graph::Use>& uses = g_.Uses(node->output(0));
    if (!uses.empty()) final_[node.get()] = Of(*uses.front().node);
    const auto codes = now_.find(node->input(0));
    if (Of(*node) != DType::kFloat && codes->second == DType::kInt32)
      float_biases_.insert(node.get());
  }
}

}  // namespace roundel::target
