#include "lib/target/value_types.h"

#include <unordered_set>

namespace roundel::target {
namespace {

using graph::Node;
using Types = std::unordered_map<std::string, DType>;

const std::unordered_set<std::string> kBoolOps = {
    "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or",
    "Not",   "Xor",     "IsNaN",          "IsInf"};
const std::unordered_set<std::string> kInt64Ops = {"Shape",  "Size",    "ArgMax",
                                                   "ArgMin", "NonZero", "NonMaxSuppression"};
const std::unordered_set<std::string> kInt32Ops = {"ConvInteger", "MatMulInteger"};
// Type of the input at this place; all ops that are not named take their first input's.
const std::unordered_map<std::string, size_t> kTypeInput = {
    {"Where", 1},       {"CastLike", 1},      {"OneHot", 2},
    {"QLinearConv", 7}, {"QLinearMatMul", 7}, {"DequantizeLinear", 1}};
// Outputs past the first whose type differs from the first's.
const std::unordered_map<std::string, DType> kSideOutputs = {{"MaxPool", DType::kInt64},
                                                             {"TopK", DType::kInt64},
                                                             {"Unique", DType::kInt64},
                                                             {"Dropout", DType::kBool}};

DType TypeOf(const Types& types, const std::string& value) {
  const auto it = types.find(value);
  return it == types.end() ? DType::kUndefined : it->second;
}

DType ConstantType(const Node& node) {
  if (const Tensor* value = node.TensorAttribute("value")) return value->dtype();
  if (node.FindAttribute("value_float") || node.FindAttribute("value_floats")) return DType::kFloat;
  if (node.FindAttribute("value_int") || node.FindAttribute("value_ints")) return DType::kInt64;
  return DType::kUndefined;
}

// Type of output 0; kUndefined if it cannot be told.
DType MainOutputType(const Node& node, const Types& types) {
  if (!node.domain.empty()) return DType::kUndefined;
  const std::string& op = node.op_type;
  if (kBoolOps.contains(op)) return DType::kBool;
  if (kInt64Ops.contains(op)) return DType::kInt64;
  if (kInt32Ops.contains(op)) return DType::kInt32;
  if (op == "Constant") return ConstantType(node);
  if (op == "ConstantOfShape") {
    const Tensor* value = node.TensorAttribute("value");
    return value ? value->dtype() : DType::kFloat;
  }
  if (op == "Cast") return static_cast<DType>(node.Int("to", 0));
  if (op == "DynamicQuantizeLinear") return DType::kUint8;
  if (op == "QuantizeLinear") {
    const DType declared = static_cast<DType>(node.Int("output_dtype", 0));
    if (!node.input(2).empty()) return TypeOf(types, node.input(2));
    return declared == DType::kUndefined ? DType::kUint8 : declared;
  }
  if (op.starts_with("Random") || op == "EyeLike" || op == "Multinomial" || op == "Bernoulli") {
    if (node.FindAttribute("dtype")) return static_cast<DType>(node.Int("dtype", 1));
    if (op == "Multinomial") return DType::kInt32;
    if (op == "RandomNormal" || op == "RandomUniform") return DType::kFloat;
  }
  if (op == "If" || op == "Loop" || op == "Scan") return DType::kUndefined;
  const auto place = kTypeInput.find(op);
  return TypeOf(types, node.input(place == kTypeInput.end() ? 0 : place->second));
}

}  // namespace

Types InferValueTypes(const graph::Model& model) {
  const graph::Graph& g = *model.graph;
  Types types;
  const auto declare = [&types](const std::vector<graph::ValueInfo>& infos) {
    for (const graph::ValueInfo& info : infos)
      if (info.dtype != DType::kUndefined) types[info.name] = info.dtype;
  };
  declare(g.inputs);
  declare(g.outputs);
  declare(g.value_info);
  for (const graph::Initializer& initializer : g.initializers())
    types[initializer.name] = initializer.value.dtype();
  for (const graph::NodePtr& node : g.nodes()) {
    const DType main = MainOutputType(*node, types);
    const auto side = node->domain.empty() ? kSideOutputs.find(node->op_type) : kSideOutputs.end();
    for (size_t i = 0; i < node->outputs.size(); ++i) {
      if (node->outputs[i].empty() || types.contains(node->outputs[i])) continue;
      const DType type = i > 0 && side != kSideOutputs.end() ? side->second : main;
      if (type != DType::kUndefined) types[node->outputs[i]] = type;
    }
  }
  return types;
}

}  // namespace roundel::target
