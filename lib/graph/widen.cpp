#include "lib/graph/widen.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace roundel::graph {
namespace {

// Attributes that name an element type: of Cast, of generators, of quantizers.
constexpr std::array<const char*, 4> kTypeAttributes = {"to", "dtype", "output_dtype",
                                                        "output_datatype"};

bool NamesType(const Attribute& attribute) {
  return std::find(kTypeAttributes.begin(), kTypeAttributes.end(), attribute.name) !=
         kTypeAttributes.end();
}

class Finder {
 public:
  explicit Finder(bool (*which)(DType)) : which_(which) {}

  void Visit(const Graph& graph) {
    for (const auto* infos : {&graph.inputs, &graph.outputs})
      for (const ValueInfo& info : *infos) {
        findings_.found |= which_(info.dtype);
        findings_.visible |= info.dtype == DType::kUndefined && !info.type_bytes.empty();
      }
    for (const Initializer& initializer : graph.initializers())
      findings_.found |= which_(initializer.value.dtype());
    for (const NodePtr& node : graph.nodes()) Visit(*node);
  }

  void Visit(const Node& node) {
    for (const Attribute& attribute : node.attributes) {
      if (const auto* tensor = std::get_if<Tensor>(&attribute.value))
        findings_.found |= tensor->defined() && which_(tensor->dtype());
      if (const auto* number = std::get_if<int64_t>(&attribute.value);
          number && NamesType(attribute)) {
        findings_.found |= which_(static_cast<DType>(*number));
        findings_.visible |= *number == static_cast<int64_t>(DType::kString);
      }
    }
    ForEachSubgraph(node, [this](const Graph& nested) { Visit(nested); });
  }

  const TypeFindings& findings() const { return findings_; }

 private:
  bool (*which_)(DType);
  TypeFindings findings_;
};

Tensor AsFloat32(const Tensor& tensor) {
  Tensor wide = tensor.ToFloat();
  if (tensor.dtype() != DType::kDouble) return wide;
  float* to = wide.mutable_data<float>();
  for (int64_t i = 0; i < wide.size(); ++i)
    if (std::isinf(to[i]) && !std::isinf(tensor.data<double>()[i]))
      to[i] = std::copysign(std::numeric_limits<float>::max(), to[i]);
  return wide;
}

class Widener {
 public:
  explicit Widener(bool (*which)(DType)) : which_(which) {}

  void Widen(Graph& graph) const {
    for (auto* infos : {&graph.inputs, &graph.outputs, &graph.value_info})
      for (ValueInfo& info : *infos)
        if (which_(info.dtype)) info.dtype = DType::kFloat;
    std::vector<std::pair<std::string, Tensor>> widened;
    for (const Initializer& initializer : graph.initializers())
      if (which_(initializer.value.dtype()))
        widened.emplace_back(initializer.name, AsFloat32(initializer.value));
    for (auto& [name, value] : widened) graph.SetInitializer(name, std::move(value));
    for (const NodePtr& node : graph.nodes()) Widen(*node);
  }

  void Widen(Node& node) const {
    for (Attribute& attribute : node.attributes) {
      if (auto* tensor = std::get_if<Tensor>(&attribute.value);
          tensor && tensor->defined() && which_(tensor->dtype()))
        *tensor = AsFloat32(*tensor);
      if (auto* number = std::get_if<int64_t>(&attribute.value);
          number && NamesType(attribute) && which_(static_cast<DType>(*number)))
        *number = static_cast<int64_t>(DType::kFloat);
    }
    ForEachSubgraph(node, [this](Graph& nested) { Widen(nested); });
  }

 private:
  bool (*which_)(DType);
};

}  // namespace

TypeFindings FindTypes(const Model& model, bool (*which)(DType)) {
  Finder finder(which);
  finder.Visit(*model.graph);
  for (const Function& function : model.functions)
    for (const NodePtr& node : function.nodes) finder.Visit(*node);
  return finder.findings();
}

void Widen(Model* model, bool (*which)(DType)) {
  const Widener widener(which);
  widener.Widen(*model->graph);
  for (Function& function : model->functions)
    for (const NodePtr& node : function.nodes) widener.Widen(*node);
}

std::optional<Model> WidenedHalves(const Model& model) {
  const TypeFindings findings = FindTypes(model, IsHalf);
  if (!findings.found || findings.visible) return std::nullopt;
  Model wide = Clone(model);
  Widen(&wide, IsHalf);
  return wide;
}

}  // namespace roundel::graph
