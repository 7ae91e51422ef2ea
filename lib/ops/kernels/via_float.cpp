#include "lib/ops/kernels/via_float.h"

#include "lib/base/limits.h"
#include "lib/ops/kernels/common.h"

namespace roundel::engine {
namespace {

bool IsOtherFloat(DType type) {
  return type == DType::kFloat16 || type == DType::kBfloat16 || type == DType::kDouble;
}

}  // namespace

DType FloatTypeOfInputs(const OpContext& context) {
  for (size_t i = 0; i < context.input_count(); ++i) {
    const Tensor* tensor = context.input(i);
    if (tensor && IsOtherFloat(tensor->dtype())) return tensor->dtype();
  }
  return DType::kFloat;
}

FloatContext::FloatContext(OpContext& real, DType type)
    : real_(real), type_(type), inputs_(real.input_count()) {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Tensor* tensor = real.input(i);
    if (tensor && IsOtherFloat(tensor->dtype())) inputs_[i] = tensor->ToFloat();
  }
}

const Tensor* FloatContext::input(size_t i) const {
  return i < inputs_.size() && inputs_[i].defined() ? &inputs_[i] : real_.input(i);
}

Result<Tensor*> FloatContext::Output(size_t i, DType type, const Shape& shape) {
  if (type != DType::kFloat) return real_.Output(i, type, shape);
  RETURN_IF_ERROR(CheckSize(type, shape));
  RETURN_IF_ERROR(CheckMemory(ByteSize(type, NumElements(shape))));
  outputs_.emplace_back(i, Tensor::Empty(type, shape));
  return &outputs_.back().second;  // elements of a deque keep their addresses
}

void FloatContext::SetOutput(size_t i, Tensor value) {
  if (value.dtype() == DType::kFloat) value = value.FromFloatTo(type_);
  real_.SetOutput(i, std::move(value));
}

void FloatContext::Finish() {
  for (auto& [i, value] : outputs_) real_.SetOutput(i, value.FromFloatTo(type_));
}

}  // namespace roundel::engine
