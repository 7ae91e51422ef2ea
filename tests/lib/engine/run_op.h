#pragma once
// Runs the plain kernel of one node on given tensors, without a graph or an executor around it.

#include <string>
#include <utility>
#include <vector>

#include "lib/ops/op.h"

namespace roundel::engine {

struct OpCall {
  std::string op_type;
  int64_t opset = 0;
  std::vector<Tensor> inputs;  // undefined = left out
  std::vector<std::pair<std::string, graph::Attribute::Value>> attributes = {};
  size_t outputs = 1;
  std::string domain = "";
};

class SingleNodeContext : public OpContext {
 public:
  explicit SingleNodeContext(const OpCall& call) : call_(call), results(call.outputs) {
    node_.op_type = call.op_type;
    node_.domain = call.domain;
    for (size_t i = 0; i < call.inputs.size(); ++i)
      node_.inputs.push_back(call.inputs[i].defined() ? "x" + std::to_string(i) : "");
    for (size_t i = 0; i < call.outputs; ++i) node_.outputs.push_back("y" + std::to_string(i));
    for (const auto& [name, value] : call.attributes) node_.SetAttribute(name, value);
  }
  const graph::Node& node() const override { return node_; }
  int64_t opset() const override { return call_.opset; }
  size_t input_count() const override { return call_.inputs.size(); }
  size_t output_count() const override { return call_.outputs; }
  const Tensor* input(size_t i) const override {
    return i < call_.inputs.size() && call_.inputs[i].defined() ? &call_.inputs[i] : nullptr;
  }
  bool wants(size_t i) const override { return i < call_.outputs; }
  Result<Tensor*> Output(size_t i, DType type, const Shape& shape) override {
    if (i >= results.size()) return InternalError("no such output");
    results[i] = Tensor::Empty(type, shape);
    return &results[i];
  }
  void SetOutput(size_t i, Tensor value) override {
    if (i < results.size()) results[i] = std::move(value);
  }

 private:
  OpCall call_;
  graph::Node node_;

 public:
  std::vector<Tensor> results;
};

inline Result<std::vector<Tensor>> RunOp(const OpCall& call) {
  const OpEntry* entry = FindOp(call.domain, call.op_type, call.opset);
  if (entry == nullptr) return ModelError("no kernel");
  SingleNodeContext context(call);
  RETURN_IF_ERROR(entry->kernel(context));
  return std::move(context.results);
}

}  // namespace roundel::engine
