#include "lib/targets/narrow_graph.h"

#include <algorithm>
#include <string>
#include <utility>

#include "lib/targets/float_slots.h"
#include "lib/targets/half_range.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

void TakeInitializer(Narrowing& s, const graph::Initializer& initializer) {
  if (!s.IsFloat(initializer.name)) return s.made->AddInitializer(initializer);
  const bool open = s.g.IsInput(initializer.name) || (s.g.IsOutput(initializer.name) && !s.outer);
  if (!open) {
    s.constants[initializer.name] = initializer.value;
    return;
  }
  const DType type = s.Declared(initializer.name);
  graph::Initializer made = initializer;
  made.value = initializer.value.FromFloatTo(type);
  s.made->AddInitializer(std::move(made));
  s.Hold(initializer.name, type);
}

bool TakeConstant(Narrowing& s, const Node& node) {
  const std::string& value = node.output(0);
  const Tensor* constant = s.g.Constant(value);
  if (!constant || constant->dtype() != DType::kFloat || s.g.IsOutput(value)) return false;
  s.constants[value] = *constant;
  return true;
}

// The float values of a bias that is stored as codes.
void FoldBias(Narrowing& s, const Node& node) {
  const Tensor codes = s.g.Constant(node.input(0))->ToFloat();
  const Tensor& scales = *s.g.Constant(node.input(1));
  Tensor bias = Tensor::Empty(DType::kFloat, codes.shape());
  for (int64_t i = 0; i < bias.size(); ++i)
    bias.mutable_data<float>()[i] =
        codes.data<float>()[i] * scales.data<float>()[scales.size() == 1 ? 0 : i];
  s.constants[node.output(0)] = std::move(bias);
}

const Graph* BodyOf(const Node& node) {
  const Graph* body = nullptr;
  graph::ForEachSubgraph(node, [&body](const Graph& nested) { body = &nested; });
  return body;
}

DType InputType(const Narrowing& s, const Node& node, size_t i, DType type) {
  if (const Graph* body = BodyOf(node)) {
    // If has no body inputs; Loop and Scan have as many as their body, plus or minus one at the
    // front.
    const size_t inputs = body->inputs.size(), operands = node.inputs.size();
    const size_t at = i + inputs - std::min(inputs + i, operands);
    return node.Is("If") || at >= inputs || !s.IsFloat(body->inputs[at].name)
               ? DType::kUndefined
               : s.nodes.Wanted(body->inputs[at].name);
  }
  if (!node.domain.empty() && !MayBeHalf(node, s.context.opset) &&
      !IsFloat32Only(node, s.context.opset))
    return s.nodes.Wanted(node.inputs[i]);  // an unknown operator keeps the type in the file
  switch (InputSlot(node, i, s.context.opset)) {
    case FloatSlot::kFloat32: return DType::kFloat;
    case FloatSlot::kFree: return DType::kUndefined;
    default: return type;
  }
}

DType OutputType(const Narrowing& s, const Node& node, size_t i, DType type) {
  if (BodyOf(node)) return s.nodes.Wanted(node.outputs[i]);
  return OutputSlot(node, i, s.context.opset) == FloatSlot::kFloat32 ? DType::kFloat : type;
}

void NarrowBodies(Narrowing& s, const Node& node, Node* copy) {
  const size_t skip = node.Is("Loop") ? 1 : 0;  // the condition
  for (graph::Attribute& attribute : copy->attributes) {
    auto* body = std::get_if<graph::GraphPtr>(&attribute.value);
    if (!body) continue;
    std::vector<DType> wanted((*body)->outputs.size(), DType::kUndefined);
    for (size_t i = skip; i < wanted.size(); ++i)
      if (const std::string& output = node.output(i - skip); s.IsFloat(output))
        wanted[i] = s.nodes.Wanted(output);
    *body = NarrowGraph(Narrowing(**body, &s, &s.context), wanted);
  }
}

void SetTypeAttributes(const Narrowing& s, const Node& node, DType type, Node* copy) {
  if (node.outputs.empty() || !s.IsFloat(node.output(0))) return;
  if (const std::string name = TypeAttribute(node); !name.empty())
    copy->SetAttribute(name, static_cast<int64_t>(type));
  if (node.Is("ConstantOfShape")) {
    const Tensor* value = node.TensorAttribute("value");
    const Tensor fill = value ? *value : Tensor::Zeros(DType::kFloat, {1});
    copy->SetAttribute("value", ClampedTo(node, fill, type));
  }
  if (!node.Is("Identity")) return;
  // Only a Cast can change the type here.
  const DType from = s.TypeNow(copy->input(0));
  if (from == DType::kUndefined || from == type) return;
  copy->op_type = "Cast";
  copy->SetAttribute("to", static_cast<int64_t>(type));
}

void MakeOutput(Narrowing& s, DType type, std::string* output,
                std::vector<std::pair<std::string, std::string>>* casts) {
  const std::string value = *output;
  s.Hold(value, type);
  if (s.outer || !s.g.IsOutput(value) || s.Declared(value) == type) return;
  *output = s.context.names.Fresh(NarrowName(value, type));
  casts->emplace_back(*output, value);
  s.held[value] = {{type, *output}, {s.Declared(value), value}};
  s.made_types[*output] = type;
}

// Outputs of a body are identified by position and may be renamed.
void SettleOutput(Narrowing& s, graph::ValueInfo* info, DType wanted) {
  if (!s.IsFloat(info->name)) return;
  const DType type = wanted == DType::kUndefined ? s.Declared(info->name) : wanted;
  if (s.outer) info->name = s.Read(info->name, type, Node{.op_type = "Identity"});
  info->dtype = type;
}

void CopyNode(Narrowing& s, const Node& node) {
  if (node.Is("Constant") && TakeConstant(s, node)) return;
  if (s.nodes.IsFloatBias(node)) return FoldBias(s, node);
  const DType type = s.nodes.Of(node);
  Node copy = node;
  for (size_t i = 0; i < copy.inputs.size(); ++i)
    if (s.IsFloat(copy.inputs[i]))
      copy.inputs[i] = s.Read(copy.inputs[i], InputType(s, node, i, type), node);
  NarrowBodies(s, node, &copy);
  SetTypeAttributes(s, node, type, &copy);
  std::vector<std::pair<std::string, std::string>> casts;  // from the result of a node to an output
  for (size_t i = 0; i < copy.outputs.size(); ++i)
    if (s.IsFloat(copy.outputs[i]))
      MakeOutput(s, OutputType(s, node, i, type), &copy.outputs[i], &casts);
  s.made->AddNode(std::move(copy));
  for (const auto& [from, to] : casts) s.AddCast(from, to, s.Declared(to));
}

}  // namespace

std::shared_ptr<Graph> NarrowGraph(Narrowing s, const std::vector<DType>& wanted) {
  for (graph::ValueInfo& info : s.made->inputs) {
    if (!s.IsFloat(info.name)) continue;
    info.dtype = s.Declared(info.name);
    s.Hold(info.name, info.dtype);
  }
  for (const graph::Initializer& initializer : s.g.initializers()) TakeInitializer(s, initializer);
  for (const auto& node : s.g.nodes()) CopyNode(s, *node);
  for (size_t i = 0; i < s.made->outputs.size(); ++i)
    SettleOutput(s, &s.made->outputs[i], i < wanted.size() ? wanted[i] : DType::kUndefined);
  CopyValueInfo(s.g, s.made.get());
  for (graph::ValueInfo& info : s.made->value_info)
    if (const auto type = s.made_types.find(info.name); type != s.made_types.end())
      info.dtype = type->second;
  return s.made;
}

}  // namespace roundel::target
