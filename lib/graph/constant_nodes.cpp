#include "lib/graph/constant_nodes.h"

#include "lib/base/text.h"

namespace roundel::graph {
namespace {

template <typename T>
const T* Value(const Node& node, const char* name) {
  const Attribute* attribute = node.FindAttribute(name);
  return attribute ? std::get_if<T>(&attribute->value) : nullptr;
}

template <typename T>
Shape LengthOf(const std::vector<T>& list) {
  return {static_cast<int64_t>(list.size())};
}

}  // namespace

std::optional<Tensor> ConstantNodeValue(const Node& node) {
  if (!node.Is("Constant")) return std::nullopt;
  if (const Tensor* tensor = node.TensorAttribute("value")) return *tensor;
  if (const auto* one = Value<float>(node, "value_float")) return Tensor::Scalar(*one);
  if (const auto* one = Value<int64_t>(node, "value_int")) return Tensor::Scalar(*one);
  if (const auto* one = Value<std::string>(node, "value_string"))
    return Tensor::Strings({}, {*one});
  if (const auto* list = Value<std::vector<float>>(node, "value_floats"))
    return Tensor::FromVector(LengthOf(*list), *list);
  if (const auto* list = Value<std::vector<int64_t>>(node, "value_ints"))
    return Tensor::FromVector(LengthOf(*list), *list);
  if (const auto* list = Value<std::vector<std::string>>(node, "value_strings"))
    return Tensor::Strings(LengthOf(*list), *list);
  return std::nullopt;
}

int64_t MakeConstantNodesInitializers(Graph* graph, std::set<std::string>* names) {
  int64_t moved = 0;
  std::vector<std::pair<std::string, std::string>> read_elsewhere;  // an output, its initializer
  std::vector<NodePtr> kept;
  std::vector<Initializer> made;
  std::set<std::string> outputs;
  for (const ValueInfo& output : graph->outputs) outputs.insert(output.name);
  for (const NodePtr& node : graph->nodes())
    ForEachSubgraph(*node,
                    [&](Graph& sub) { moved += MakeConstantNodesInitializers(&sub, names); });
  for (const NodePtr& node : graph->nodes()) {
    std::optional<Tensor> value = ConstantNodeValue(*node);
    if (!value || !value->defined() || node->output(0).empty()) continue;
    std::string name = node->output(0);
    if (outputs.contains(name)) {
      if (graph->Uses(name).empty()) continue;
      name = UniqueName(node->output(0), names);
      read_elsewhere.emplace_back(node->output(0), name);
    }
    made.push_back({.name = name, .value = std::move(*value), .doc_string = node->doc_string});
  }
  if (made.empty()) return moved;
  for (NodePtr& node : graph->TakeNodes())
    if (!node->Is("Constant") || outputs.contains(node->output(0)) || !ConstantNodeValue(*node))
      kept.push_back(std::move(node));
  graph->SetNodes(std::move(kept));
  for (Initializer& initializer : made) graph->AddInitializer(std::move(initializer));
  for (const auto& [from, to] : read_elsewhere) graph->ReplaceUses(from, to);
  return moved + std::ssize(made);
}

std::string UniqueName(const std::string& base, std::set<std::string>* names) {
  std::string name = base;
  for (int i = 1; !names->insert(name).second; ++i) name = StrCat(base, "_", i);
  return name;
}

}  // namespace roundel::graph
