#include "lib/ops/kernels/inner_op.h"

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

Result<Tensor*> InnerContext::Output(size_t i, DType type, const Shape& shape) {
  if (!wants(i)) return InternalError(StrCat("an inner operator has no output ", i));
  results[i] = Tensor::Empty(type, shape);
  return &results[i];
}

Result<std::vector<Tensor>> RunInner(const char* type, const std::vector<Tensor>& inputs,
                                     const graph::Node& attributes, size_t outputs, int64_t opset) {
  const OpEntry* entry = FindOp("", type, opset);
  INVARIANT(entry != nullptr, type);
  graph::Node node = attributes;
  node.op_type = type;
  node.domain.clear();
  InnerContext context(node, opset, inputs, outputs);
  RETURN_IF_ERROR(entry->kernel(context));
  for (const Tensor& result : context.results) INVARIANT(result.defined(), type);
  return std::move(context.results);
}

Result<Tensor> RunInnerOp(const char* type, const std::vector<Tensor>& inputs,
                          const graph::Node& attributes) {
  ASSIGN_OR_RETURN(std::vector<Tensor> results, RunInner(type, inputs, attributes));
  return std::move(results[0]);
}

Result<Tensor> ToChannelsFirst(const Tensor& x) {
  if (x.rank() < 2) return ModelError(StrCat("no channels in shape ", ShapeString(x.shape())));
  std::vector<int64_t> perm = {0, x.rank() - 1};
  for (int64_t i = 1; i < x.rank() - 1; ++i) perm.push_back(i);
  return RunInnerOp("Transpose", {x}, WithAttributes({{"perm", perm}}));
}

Result<Tensor> ToChannelsLast(const Tensor& x) {
  if (x.rank() < 2) return ModelError(StrCat("no channels in shape ", ShapeString(x.shape())));
  std::vector<int64_t> perm = {0};
  for (int64_t i = 2; i < x.rank(); ++i) perm.push_back(i);
  perm.push_back(1);
  return RunInnerOp("Transpose", {x}, WithAttributes({{"perm", perm}}));
}

Tensor InputOrNone(const OpContext& context, size_t i) {
  const Tensor* tensor = context.input(i);
  return tensor ? *tensor : Tensor();
}

graph::Node WithAttributes(
    std::vector<std::pair<const char*, graph::Attribute::Value>> attributes) {
  graph::Node node;
  for (auto& [name, value] : attributes) node.SetAttribute(name, std::move(value));
  return node;
}

}  // namespace roundel::engine
