#pragma once
// Appends nodes to a graph, with names that are not used yet.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/text.h"
#include "lib/graph/graph.h"

namespace roundel::tune {

// Adds a graph input of floats; without `shape` of any shape.
inline void AddFloatInput(graph::Graph* graph, const std::string& name,
                          const std::optional<Shape>& shape = {}) {
  graph::ValueInfo info{.name = name, .dtype = DType::kFloat};
  if (shape) {
    info.shape.emplace();
    for (const int64_t size : *shape) info.shape->push_back({.value = size});
  }
  graph->inputs.push_back(std::move(info));
}

class Nodes {
 public:
  // `prefix` of the names of new values. The graph must outlive this object.
  Nodes(graph::Graph* graph, std::string prefix) : graph_(graph), prefix_(std::move(prefix)) {}

  using Attributes = std::vector<std::pair<std::string, graph::Attribute::Value>>;
  // The node's output.
  std::string Add(const std::string& op_type, std::vector<std::string> inputs,
                  const Attributes& attributes = {}, const std::string& domain = "") {
    graph::Node node;
    node.op_type = op_type;
    node.domain = domain;
    node.inputs = std::move(inputs);
    node.outputs = {Fresh(op_type)};
    for (const auto& [name, value] : attributes) node.SetAttribute(name, value);
    return graph_->AddNode(std::move(node))->outputs[0];
  }
  std::string Constant(Tensor value) {
    std::string name = Fresh("constant");
    graph_->SetInitializer(name, std::move(value));
    return name;
  }
  std::string Scalar(float value) { return Constant(Tensor::Scalar(value)); }
  graph::Graph& graph() { return *graph_; }

 private:
  std::string Fresh(const std::string& kind) { return StrCat(prefix_, "/", kind, "/", next_++); }

  graph::Graph* graph_;
  std::string prefix_;
  int next_ = 0;
};

}  // namespace roundel::tune
