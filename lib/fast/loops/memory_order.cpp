// Operators on single elements (gradients of activation functions, fake quantizers) of channels-last
// values: the plain kernel on the elements as they lie in memory.

#include <cstring>

#include "lib/fast/loops/kernels.h"
#include "lib/ops/op.h"

namespace roundel::engine {
namespace {

// The node with values in their physical shapes.
class PhysicalContext : public OpContext {
 public:
  PhysicalContext(FastContext& context, const graph::Node& node, int64_t opset)
      : context_(context), node_(node), opset_(opset) {}

  // Input `i` in its physical shape; false if memory is exhausted.
  bool Take(size_t i, const Shape& main) {
    const Value* value = context_.input(i);
    inputs_.emplace_back();
    if (!value) return true;
    const bool whole = value->shape == main;
    const float* data = context_.Data(i, whole ? Layout::kChannelsLast : Layout::kPlain);
    if (!data) return false;
    const Shape shape = whole ? PhysicalShape(main, Layout::kChannelsLast) : value->shape;
    inputs_.back() = Tensor::Borrow(DType::kFloat, shape, const_cast<float*>(data));
    main_ = main;
    return true;
  }

  const graph::Node& node() const override { return node_; }
  int64_t opset() const override { return opset_; }
  size_t input_count() const override { return inputs_.size(); }
  size_t output_count() const override { return node_.outputs.size(); }
  const Tensor* input(size_t i) const override {
    return i < inputs_.size() && inputs_[i].defined() ? &inputs_[i] : nullptr;
  }
  bool wants(size_t i) const override { return i < output_count(); }
  Result<Tensor*> Output(size_t i, DType type, const Shape& shape) override {
    const bool whole = shape == PhysicalShape(main_, Layout::kChannelsLast);
    void* to = whole ? context_.OutputOf(i, type, main_, Layout::kChannelsLast)
                     : context_.OutputOf(i, type, shape, Layout::kPlain);
    if (!to) return InternalError("no memory");  // the plain kernel reports it
    outputs_.resize(output_count());
    outputs_[i] = Tensor::Borrow(type, shape, to);
    return &outputs_[i];
  }
  void SetOutput(size_t i, Tensor value) override {
    const auto to = Output(i, value.dtype(), value.shape());
    if (to.ok())
      std::memcpy((*to)->mutable_raw(), value.raw(), static_cast<size_t>(value.byte_size()));
  }

 private:
  FastContext& context_;
  const graph::Node& node_;
  const int64_t opset_;
  Shape main_;
  std::vector<Tensor> inputs_, outputs_;
};

class MemoryOrderKernel : public FastKernel {
 public:
  MemoryOrderKernel(const KernelSpec& spec, const OpEntry& op)
      : node_(*spec.main), opset_(spec.opset), op_(op) {
    for (const std::string& input : node_.inputs) given_.push_back(!input.empty());
  }

  bool Run(FastContext& context) override {
    const Value* first = context.input(0);
    if (!first) return false;
    const Shape main = first->shape;
    bool channels_last = false;
    for (size_t i = 0; i < given_.size(); ++i) {
      const Value* value = context.input(i);
      if (!value) continue;
      if (value->dtype() != DType::kFloat) return false;
      channels_last |= value->shape == main && value->layout == Layout::kChannelsLast;
    }
    const auto rank = static_cast<int64_t>(main.size());
    // Otherwise the plain kernel takes the values as they are.
    if (!channels_last || rank < kMinChannelsLastRank || rank > kMaxChannelsLastRank) return false;
    graph::Node node = node_;
    if (node.FindAttribute("axis") && !MoveAxis(rank, &node)) return false;
    PhysicalContext physical(context, node, opset_);
    for (size_t i = 0; i < given_.size(); ++i)
      if (!physical.Take(i, main)) return false;
    return op_.kernel(physical).ok();
  }

 private:
  // The axis of channels is the last one in memory.
  static bool MoveAxis(int64_t rank, graph::Node* node) {
    const int64_t axis = node->Int("axis", 0);
    if ((axis != 1 && axis + rank != 1) || node->Int("block_size", 0) != 0) return false;
    node->SetAttribute("axis", rank - 1);
    return true;
  }

  const graph::Node node_;
  const int64_t opset_;
  const OpEntry& op_;
  std::vector<bool> given_;  // by input
};

}  // namespace

std::unique_ptr<FastKernel> MakeMemoryOrderKernel(const KernelSpec& spec) {
  const OpEntry* op = FindOp(spec.main->domain, spec.main->op_type, spec.opset);
  if (!op) return nullptr;
  return std::make_unique<MemoryOrderKernel>(spec, *op);
}

}  // namespace roundel::engine
