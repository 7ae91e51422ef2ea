#pragma once
// One model in every form that exporters give to the same weights and layers.

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/text.h"
#include "lib/graph/graph.h"

namespace roundel::support {

struct ModelForm {
  std::string name;
  std::function<void(graph::Model*)> apply;
};

// Nodes that make the value `name` out of `stored`, whose name is `name_stored`.
using MakeNodes = std::function<std::vector<graph::Node>(const std::string& name, Tensor* stored)>;

// Every initializer for which `make` gives nodes is stored in another way.
inline void StoreDifferently(graph::Model* model, const MakeNodes& make) {
  graph::Graph& graph = *model->graph;
  std::vector<graph::NodePtr> nodes;
  const std::vector<graph::Initializer> initializers = graph.initializers();
  for (const graph::Initializer& initializer : initializers) {
    Tensor stored = initializer.value;
    std::vector<graph::Node> made = make(initializer.name, &stored);
    if (made.empty()) continue;
    std::erase_if(graph.inputs,
                  [&](const graph::ValueInfo& info) { return info.name == initializer.name; });
    graph.RemoveInitializer(initializer.name);
    if (stored.defined()) graph.SetInitializer(initializer.name + "_stored", stored);
    for (graph::Node& node : made) nodes.push_back(std::make_unique<graph::Node>(std::move(node)));
  }
  for (graph::NodePtr& node : graph.TakeNodes()) nodes.push_back(std::move(node));
  graph.SetNodes(std::move(nodes));
}

inline graph::Node MakeNode(const char* op, std::vector<std::string> inputs, std::string output) {
  return {.op_type = op, .inputs = std::move(inputs), .outputs = {std::move(output)}};
}

inline graph::Node ConstantNode(const std::string& name, const char* attribute,
                                graph::Attribute::Value value) {
  graph::Node node = MakeNode("Constant", {}, name);
  node.SetAttribute(attribute, std::move(value));
  return node;
}

// Lists and numbers as attributes of their own kinds, the rest as tensors.
inline std::vector<graph::Node> ConstantOfKind(const std::string& name, Tensor* stored) {
  const Tensor value = std::exchange(*stored, Tensor());
  if (value.dtype() == DType::kFloat && value.rank() == 1)
    return {
        ConstantNode(name, "value_floats",
                     std::vector<float>(value.span<float>().begin(), value.span<float>().end()))};
  if (value.dtype() == DType::kFloat && value.rank() == 0)
    return {ConstantNode(name, "value_float", value.data<float>()[0])};
  if (value.dtype() == DType::kInt64 && value.rank() == 1)
    return {ConstantNode(name, "value_ints", value.ToInt64s())};
  return {ConstantNode(name, "value", value)};
}

inline std::vector<graph::Node> CastFromHalf(const std::string& name, Tensor* stored) {
  if (stored->dtype() != DType::kFloat) return {};
  *stored = stored->FromFloatTo(DType::kFloat16);
  graph::Node cast = MakeNode("Cast", {name + "_stored"}, name);
  cast.SetAttribute("to", int64_t{1});
  return {cast};
}

inline std::vector<graph::Node> Transposed(const std::string& name, Tensor* stored) {
  if (stored->dtype() != DType::kFloat || stored->rank() != 2) return {};
  const int64_t rows = stored->dim(0), columns = stored->dim(1);
  Tensor turned = Tensor::Empty(DType::kFloat, {columns, rows});
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      turned.mutable_data<float>()[j * rows + i] = stored->data<float>()[i * columns + j];
  *stored = turned;
  return {MakeNode("Transpose", {name + "_stored"}, name)};
}

inline std::vector<graph::Node> Flat(const std::string& name, Tensor* stored) {
  if (stored->dtype() != DType::kFloat || stored->rank() == 0) return {};
  graph::Node shape = ConstantNode(name + "_shape", "value_ints", stored->shape());
  *stored = stored->Reshaped({stored->size()});
  return {shape, MakeNode("Reshape", {name + "_stored", name + "_shape"}, name)};
}

// w = v / sqrt(16) * 8, where v = w / 2: exact in float.
inline std::vector<graph::Node> Scaled(const std::string& name, Tensor* stored) {
  if (stored->dtype() != DType::kFloat) return {};
  float* v = stored->mutable_data<float>();
  for (int64_t i = 0; i < stored->size(); ++i) v[i] /= 2;
  return {ConstantNode(name + "_16", "value", Tensor::Scalar(16.0f)),
          ConstantNode(name + "_8", "value", Tensor::Scalar(8.0f)),
          MakeNode("Sqrt", {name + "_16"}, name + "_root"),
          MakeNode("Div", {name + "_stored", name + "_root"}, name + "_divided"),
          MakeNode("Mul", {name + "_8", name + "_divided"}, name)};
}

inline void ListAsInputs(graph::Model* model) {
  graph::Graph& graph = *model->graph;
  for (const graph::Initializer& initializer : graph.initializers()) {
    if (graph.IsInput(initializer.name)) continue;
    graph::ValueInfo info{.name = initializer.name, .dtype = initializer.value.dtype()};
    info.shape.emplace();
    for (const int64_t dim : initializer.value.shape())
      info.shape->push_back({.value = dim, .symbol = {}, .unknown = {}});
    graph.inputs.push_back(std::move(info));
    graph.InvalidateIndex();
  }
}

// Every node becomes a call of a function that calls a function that holds it.
inline void WrapInFunctions(graph::Model* model) {
  model->SetOpset("forms", 1);
  int count = static_cast<int>(model->functions.size());
  for (const graph::NodePtr& node : model->graph->nodes()) {
    if (node->domain == "forms" || node->Is("Constant")) continue;
    graph::Function inner{.name = StrCat("F", ++count), .domain = "forms"};
    inner.opset_imports = {{"", model->Opset()}};
    graph::Node call{.name = node->name, .op_type = inner.name, .domain = "forms"};
    call.inputs = node->inputs;
    call.outputs = node->outputs;
    graph::Node held = *node;
    for (size_t i = 0; i < held.inputs.size(); ++i) {
      inner.inputs.push_back(StrCat("i", i));
      if (!held.inputs[i].empty()) held.inputs[i] = inner.inputs.back();
    }
    for (size_t i = 0; i < held.outputs.size(); ++i) {
      inner.outputs.push_back(StrCat("o", i));
      held.outputs[i] = inner.outputs.back();
    }
    for (graph::Attribute& attribute : held.attributes) {  // handed through both calls
      inner.attributes.push_back("given_" + attribute.name);
      call.attributes.push_back(attribute);
      call.attributes.back().name = inner.attributes.back();
      attribute = {.name = attribute.name, .value = {}, .ref_name = inner.attributes.back()};
    }
    graph::Function outer{.name = StrCat("G", count), .domain = "forms"};
    outer.inputs = inner.inputs;
    outer.outputs = inner.outputs;
    outer.attributes = inner.attributes;
    outer.opset_imports = {{"", model->Opset()}, {"forms", 1}};
    graph::Node through = call;
    through.inputs = inner.inputs;
    through.outputs = inner.outputs;
    for (graph::Attribute& attribute : through.attributes)
      attribute = {.name = attribute.name, .value = {}, .ref_name = attribute.name};
    inner.nodes.push_back(std::make_unique<graph::Node>(std::move(held)));
    outer.nodes.push_back(std::make_unique<graph::Node>(std::move(through)));
    call.op_type = outer.name;
    *node = std::move(call);
    model->functions.push_back(std::move(inner));
    model->functions.push_back(std::move(outer));
  }
  model->graph->InvalidateIndex();
}

inline void ReverseNodes(graph::Model* model) {
  std::vector<graph::NodePtr> nodes = model->graph->TakeNodes();
  std::reverse(nodes.begin(), nodes.end());
  model->graph->SetNodes(std::move(nodes));
}

inline std::vector<graph::Node> Copied(const std::string& name, Tensor*) {
  return {MakeNode("Identity", {name + "_stored"}, name + "_again"),
          MakeNode("Identity", {name + "_again"}, name)};
}

inline std::vector<graph::Node> AddedAxis(const std::string& name, Tensor* stored) {
  if (stored->dtype() != DType::kFloat || stored->rank() == 0) return {};
  Shape shape = stored->shape();
  shape.insert(shape.begin(), 1);
  *stored = stored->Reshaped(shape);
  return {ConstantNode(name + "_axes", "value_ints", std::vector<int64_t>{0}),
          MakeNode("Squeeze", {name + "_stored", name + "_axes"}, name)};
}

// Values of the initializers must be float16 numbers, and stay exact when halved.
inline const std::vector<ModelForm>& ModelForms() {
  const auto stored = [](const MakeNodes& make) {
    return [make](graph::Model* model) { StoreDifferently(model, make); };
  };
  static const std::vector<ModelForm> forms = {
      {"Constant nodes", stored([](const std::string& name, Tensor* value) {
         return std::vector<graph::Node>{
             ConstantNode(name, "value", std::exchange(*value, Tensor()))};
       })},
      {"Constant nodes of other kinds", stored(ConstantOfKind)},
      {"initializers listed as inputs", ListAsInputs},
      {"initializers listed as inputs, old",
       [](graph::Model* model) {
         ListAsInputs(model);
         model->ir_version = 3;
       }},
      {"Identity chains", stored(Copied)},
      {"Cast from float16", stored(CastFromHalf)},
      {"Transpose", stored(Transposed)},
      {"Reshape", stored(Flat)},
      {"Squeeze", stored(AddedAxis)},
      {"scaled by a chain", stored(Scaled)},
      {"functions", WrapInFunctions},
      {"nodes without names",
       [](graph::Model* model) {
         for (const graph::NodePtr& node : model->graph->nodes()) node->name.clear();
       }},
      {"nodes in no order", ReverseNodes},
  };
  return forms;
}

}  // namespace roundel::support
