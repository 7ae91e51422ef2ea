#include "lib/engine/plain_run.h"

#include <new>
#include <utility>

#include "lib/base/text.h"

namespace roundel::engine {
namespace {

Datum AsDatum(const PlainInput& input) {
  return {input.tensor ? *input.tensor : Tensor(), input.items ? *input.items : nullptr};
}

class PlainContext : public OpContext {
 public:
  PlainContext(const PlanNode& node, const std::vector<PlainInput>& inputs,
               const AllocateOutput& allocate, std::vector<Datum>* outputs)
      : node_(node), inputs_(inputs), allocate_(allocate), outputs_(outputs) {}

  const graph::Node& node() const override { return node_.node; }
  int64_t opset() const override { return node_.opset; }
  size_t input_count() const override { return inputs_.size() - node_.captured; }
  size_t output_count() const override { return node_.outputs.size(); }
  const Tensor* input(size_t i) const override {
    return i < input_count() ? inputs_[i].tensor : nullptr;
  }
  bool wants(size_t i) const override {
    return i < node_.outputs.size() && node_.outputs[i] != kNoSlot;
  }
  Result<Tensor*> Output(size_t i, DType type, const Shape& shape) override {
    if (i >= outputs_->size())
      return InternalError(StrCat("the kernel makes output ", i, " which the node does not have"));
    const Result<int64_t> count = CheckedNumElements(shape, type);
    if (!count.ok()) return count.status();
    ASSIGN_OR_RETURN((*outputs_)[i].tensor, allocate_(type, shape));
    return &(*outputs_)[i].tensor;
  }
  void SetOutput(size_t i, Tensor value) override {
    if (i < outputs_->size()) (*outputs_)[i].tensor = std::move(value);
  }

  Datum datum(size_t i) const override { return i < input_count() ? AsDatum(inputs_[i]) : Datum(); }
  void SetDatum(size_t i, Datum value) override {
    if (i < outputs_->size()) (*outputs_)[i] = std::move(value);
  }
  Result<std::vector<Datum>> RunSubgraph(const std::string& attribute,
                                         const std::vector<Datum>& inputs) override {
    for (const Subgraph& subgraph : node_.subgraphs) {
      if (subgraph.attribute != attribute) continue;
      std::vector<Datum> all = inputs;
      for (size_t i : subgraph.captured) all.push_back(AsDatum(inputs_[i]));
      return subgraph.runner->RunNested(all, inputs.size());
    }
    return ModelError(StrCat("there is no sub-graph '", attribute, "'"));
  }

 private:
  const PlanNode& node_;
  const std::vector<PlainInput>& inputs_;
  const AllocateOutput& allocate_;
  std::vector<Datum>* outputs_;
};

std::string InputShapes(const std::vector<PlainInput>& inputs, size_t count) {
  std::vector<std::string> shapes;
  for (size_t i = 0; i < count; ++i) {
    const Tensor* tensor = inputs[i].tensor;
    const SequencePtr* items = inputs[i].items;
    shapes.push_back(tensor  ? DTypeName(tensor->dtype()) + ShapeString(tensor->shape())
                     : items ? StrCat("sequence of ", (*items)->size())
                             : "-");
  }
  return Join(shapes, ", ", 8);
}

// Most operators know only tensors and would treat a sequence as an absent input.
Status CheckKinds(const PlanNode& node, const std::vector<PlainInput>& inputs) {
  if (node.op->any_kind) return OkStatus();
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].items) return ModelError(StrCat("input ", i, " is a sequence, not a tensor"));
  return OkStatus();
}

}  // namespace

Status RunPlain(const PlanNode& node, const std::vector<PlainInput>& inputs,
                const AllocateOutput& allocate, std::vector<Datum>* outputs) {
  outputs->assign(node.outputs.size(), Datum());
  PlainContext context(node, inputs, allocate, outputs);
  Status status = CheckKinds(node, inputs);
  try {
    if (status.ok()) status = node.op->kernel(context);
  } catch (const std::bad_alloc&) {
    status = ModelError("out of memory");
  }
  for (size_t i = 0; status.ok() && !node.op->any_kind && i < outputs->size(); ++i)
    if (node.outputs[i] != kNoSlot && (*outputs)[i].is_nothing())
      status = ModelError(StrCat("gives no output ", i));
  if (status.ok() || status.kind() == ErrorKind::kInterrupted) return status;
  return std::move(status).At(StrCat("node ", node.node.DisplayName(), " with inputs ",
                                     InputShapes(inputs, context.input_count())));
}

}  // namespace roundel::engine
