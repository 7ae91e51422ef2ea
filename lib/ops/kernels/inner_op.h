#pragma once
// Runs a plain kernel of the default domain inside another: fused operators and operators in other
// layouts are compositions of existing kernels.

#include <vector>

#include "lib/base/status.h"
#include "lib/ops/op.h"

namespace roundel::engine {

constexpr int64_t kInnerOpset = 25;

// A node with given inputs, of which undefined ones are absent.
class InnerContext : public OpContext {
 public:
  InnerContext(const graph::Node& node, int64_t opset, const std::vector<Tensor>& inputs,
               size_t outputs)
      : results(outputs), node_(node), opset_(opset), inputs_(inputs) {}

  const graph::Node& node() const override { return node_; }
  int64_t opset() const override { return opset_; }
  size_t input_count() const override { return inputs_.size(); }
  size_t output_count() const override { return results.size(); }
  const Tensor* input(size_t i) const override {
    return i < inputs_.size() && inputs_[i].defined() ? &inputs_[i] : nullptr;
  }
  bool wants(size_t i) const override { return i < results.size(); }
  Result<Tensor*> Output(size_t i, DType type, const Shape& shape) override;
  void SetOutput(size_t i, Tensor value) override {
    if (wants(i)) results[i] = std::move(value);
  }

  std::vector<Tensor> results;

 private:
  const graph::Node& node_;
  const int64_t opset_;
  const std::vector<Tensor>& inputs_;
};

// The outputs of `type` (by default of the newest version of the operator set) with the attributes of
// `attributes`. Undefined inputs are absent.
Result<std::vector<Tensor>> RunInner(const char* type, const std::vector<Tensor>& inputs,
                                     const graph::Node& attributes = {}, size_t outputs = 1,
                                     int64_t opset = kInnerOpset);

// The same for an operator with one output.
Result<Tensor> RunInnerOp(const char* type, const std::vector<Tensor>& inputs,
                          const graph::Node& attributes = {});

// [N, spatial..., C] <-> [N, C, spatial...]
Result<Tensor> ToChannelsFirst(const Tensor& x);
Result<Tensor> ToChannelsLast(const Tensor& x);

// Input `i`, undefined if it is absent.
Tensor InputOrNone(const OpContext& context, size_t i);

// A node that has only these attributes.
graph::Node WithAttributes(std::vector<std::pair<const char*, graph::Attribute::Value>> attributes);

}  // namespace roundel::engine
