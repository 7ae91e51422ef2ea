#include "lib/engine/widen.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

namespace roundel::engine {
namespace {

// Attributes that name an element type: of Cast, of generators, of quantizers.
constexpr std::array<const char*, 4> kTypeAttributes = {"to", "dtype", "output_dtype", "output_datatype"};

bool NamesType(const graph::Attribute& attribute) {
  return std::find(kTypeAttributes.begin(), kTypeAttributes.end(), attribute.name) !=
         kTypeAttributes.end();
}

struct Findings {
  bool halves = false;    // there are 16-bit floats
  bool visible = false;   // and something shows that they are
};

void LookInto(const graph::Node& node, Findings* findings);

void LookInto(const graph::Graph& graph, Findings* findings) {
  for (const auto* infos : {&graph.inputs, &graph.outputs})
    for (const graph::ValueInfo& info : *infos) {
      findings->halves |= IsHalf(info.dtype);
      findings->visible |= info.dtype == DType::kUndefined && !info.type_bytes.empty();
    }
  for (const graph::Initializer& initializer : graph.initializers())
    findings->halves |= IsHalf(initializer.value.dtype());
  for (const graph::NodePtr& node : graph.nodes()) LookInto(*node, findings);
}

void LookInto(const graph::Node& node, Findings* findings) {
  for (const graph::Attribute& attribute : node.attributes) {
    if (const auto* tensor = std::get_if<Tensor>(&attribute.value))
      findings->halves |= tensor->defined() && IsHalf(tensor->dtype());
    if (const auto* number = std::get_if<int64_t>(&attribute.value); number && NamesType(attribute)) {
      findings->halves |= IsHalf(static_cast<DType>(*number));
      findings->visible |= *number == static_cast<int64_t>(DType::kString);
    }
  }
  graph::ForEachSubgraph(node, [&](const graph::Graph& nested) { LookInto(nested, findings); });
}

void Widen(graph::Graph& graph);

void Widen(graph::Node& node) {
  for (graph::Attribute& attribute : node.attributes) {
    if (auto* tensor = std::get_if<Tensor>(&attribute.value);
        tensor && tensor->defined() && IsHalf(tensor->dtype()))
      *tensor = tensor->ToFloat();
    if (auto* number = std::get_if<int64_t>(&attribute.value);
        number && NamesType(attribute) && IsHalf(static_cast<DType>(*number)))
      *number = static_cast<int64_t>(DType::kFloat);
  }
  graph::ForEachSubgraph(node, [](graph::Graph& nested) { Widen(nested); });
}

void Widen(graph::Graph& graph) {
  for (auto* infos : {&graph.inputs, &graph.outputs, &graph.value_info})
    for (graph::ValueInfo& info : *infos)
      if (IsHalf(info.dtype)) info.dtype = DType::kFloat;
  std::vector<std::pair<std::string, Tensor>> widened;
  for (const graph::Initializer& initializer : graph.initializers())
    if (IsHalf(initializer.value.dtype()))
      widened.emplace_back(initializer.name, initializer.value.ToFloat());
  for (auto& [name, value] : widened) graph.SetInitializer(name, std::move(value));
  for (const graph::NodePtr& node : graph.nodes()) Widen(*node);
}

}  // namespace

std::optional<graph::Model> Widened(const graph::Model& model) {
  Findings findings;
  LookInto(*model.graph, &findings);
  for (const graph::Function& function : model.functions)
    for (const graph::NodePtr& node : function.nodes) LookInto(*node, &findings);
  if (!findings.halves || findings.visible) return std::nullopt;
  graph::Model wide = graph::Clone(model);
  Widen(*wide.graph);
  for (graph::Function& function : wide.functions)
    for (const graph::NodePtr& node : function.nodes) Widen(*node);
  return wide;
}

}  // namespace roundel::engine
