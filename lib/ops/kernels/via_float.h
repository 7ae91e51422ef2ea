#pragma once
// ViaFloat<Kernel>: runs a float32-only kernel on float16, bfloat16 and float64 tensors, by
// converting the inputs and rounding the results back.

#include <deque>
#include <memory>
#include <vector>

#include "lib/ops/op.h"

namespace roundel::engine {

// An OpContext whose floating inputs and outputs appear as float32.
class FloatContext : public OpContext {
 public:
  FloatContext(OpContext& real, DType type);
  // Passes the outputs to the wrapped context, in `type`.
  void Finish();

  const graph::Node& node() const override { return real_.node(); }
  int64_t opset() const override { return real_.opset(); }
  size_t input_count() const override { return real_.input_count(); }
  size_t output_count() const override { return real_.output_count(); }
  const Tensor* input(size_t i) const override;
  bool wants(size_t i) const override { return real_.wants(i); }
  Result<Tensor*> Output(size_t i, DType type, const Shape& shape) override;
  void SetOutput(size_t i, Tensor value) override;

 private:
  OpContext& real_;
  DType type_;
  std::vector<Tensor> inputs_;  // undefined if the input is passed through unchanged
  std::deque<std::pair<size_t, Tensor>> outputs_;
};

// float16, bfloat16 or float64 if an input has one of these types, else float32.
DType FloatTypeOfInputs(const OpContext& context);

template <Kernel kernel>
Status ViaFloat(OpContext& context) {
  const DType type = FloatTypeOfInputs(context);
  if (type == DType::kFloat) return kernel(context);
  FloatContext converted(context, type);
  RETURN_IF_ERROR(kernel(converted));
  converted.Finish();
  return OkStatus();
}

}  // namespace roundel::engine
