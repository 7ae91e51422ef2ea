#include "lib/engine/plain_run.h"

#include <new>
#include <utility>

#include "lib/base/text.h"

namespace roundel::engine {
namespace {

class PlainContext : public OpContext {
 public:
  PlainContext(const PlanNode& node, const std::vector<const Tensor*>& inputs,
               const AllocateOutput& allocate, std::vector<Tensor>* outputs)
      : node_(node), inputs_(inputs), allocate_(allocate), outputs_(outputs) {}

  const graph::Node& node() const override { return node_.node; }
  int64_t opset() const override { return node_.opset; }
  size_t input_count() const override { return inputs_.size(); }
  size_t output_count() const override { return node_.outputs.size(); }
  const Tensor* input(size_t i) const override { return i < inputs_.size() ? inputs_[i] : nullptr; }
  bool wants(size_t i) const override {
    return i < node_.outputs.size() && node_.outputs[i] != kNoSlot;
  }
  Result<Tensor*> Output(size_t i, DType type, const Shape& shape) override {
    if (i >= outputs_->size())
      return InternalError(StrCat("the kernel makes output ", i, " which the node does not have"));
    const Result<int64_t> count = CheckedNumElements(shape, type);
    if (!count.ok()) return count.status();
    ASSIGN_OR_RETURN((*outputs_)[i], allocate_(type, shape));
    return &(*outputs_)[i];
  }
  void SetOutput(size_t i, Tensor value) override {
    if (i < outputs_->size()) (*outputs_)[i] = std::move(value);
  }

 private:
  const PlanNode& node_;
  const std::vector<const Tensor*>& inputs_;
  const AllocateOutput& allocate_;
  std::vector<Tensor>* outputs_;
};

std::string InputShapes(const std::vector<const Tensor*>& inputs) {
  std::vector<std::string> shapes;
  for (const Tensor* input : inputs)
    shapes.push_back(input ? DTypeName(input->dtype()) + ShapeString(input->shape()) : "-");
  return Join(shapes, ", ", 8);
}

}  // namespace

Status RunPlain(const PlanNode& node, const std::vector<const Tensor*>& inputs,
                const AllocateOutput& allocate, std::vector<Tensor>* outputs) {
  outputs->assign(node.outputs.size(), Tensor());
  PlainContext context(node, inputs, allocate, outputs);
  Status status;
  try {
    status = node.op->kernel(context);
  } catch (const std::bad_alloc&) {
    status = ModelError("out of memory");
  }
  for (size_t i = 0; status.ok() && i < outputs->size(); ++i)
    if (node.outputs[i] != kNoSlot && !(*outputs)[i].defined())
      status = ModelError(StrCat("gives no output ", i));
  if (status.ok() || status.kind() == ErrorKind::kInterrupted) return status;
  return std::move(status).At(
      StrCat("node ", node.node.DisplayName(), " with inputs ", InputShapes(inputs)));
}

}  // namespace roundel::engine
