#include "lib/ops/kernels/common.h"

#include <algorithm>

#include "lib/base/limits.h"

namespace roundel::engine {

Status RequireInputs(const OpContext& context, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (context.input(i) == nullptr)
      return ModelError(StrCat("input ", i, " is missing (", count, " needed)"));
  return OkStatus();
}

Status RequireFloat(const OpContext& context, std::initializer_list<size_t> inputs) {
  for (size_t i : inputs) {
    const Tensor* tensor = context.input(i);
    if (tensor && tensor->dtype() != DType::kFloat)
      return ModelError(
          StrCat("input ", i, " is ", DTypeName(tensor->dtype()), ", a floating type is needed"));
  }
  return OkStatus();
}

Status RequireRank(const OpContext& context, size_t i, int64_t rank) {
  RETURN_IF_ERROR(RequireInputs(context, i + 1));
  if (context.input(i)->rank() >= rank) return OkStatus();
  return ModelError(StrCat("input ", i, " has shape ", ShapeString(context.input(i)->shape()),
                           ", at least ", rank, " dimensions are needed"));
}

Status CheckSize(DType type, const Shape& shape) {
  ASSIGN_OR_RETURN(const int64_t elements, CheckedNumElements(shape, type));
  const int64_t limit = std::min(kMaxTensorBytes, MemoryLimit());
  if (elements <= kMaxTensorBytes && ByteSize(type, elements) <= limit) return OkStatus();
  return ModelError(StrCat("a result of shape ", ShapeString(shape), " (", DTypeName(type),
                           ") exceeds the limit of ", HumanBytes(limit)));
}

Result<Tensor*> NewOutput(OpContext& context, size_t i, DType type, const Shape& shape) {
  RETURN_IF_ERROR(CheckSize(type, shape));
  return context.Output(i, type, shape);
}

Result<std::vector<int64_t>> IntegerInput(const OpContext& context, size_t i) {
  const Tensor* tensor = context.input(i);
  if (tensor == nullptr) return ModelError(StrCat("input ", i, " is missing"));
  if (!IsInteger(tensor->dtype()) && tensor->dtype() != DType::kBool)
    return ModelError(
        StrCat("input ", i, " is ", DTypeName(tensor->dtype()), ", an integer type is needed"));
  return tensor->ToInt64s();
}

Result<int64_t> IntegerScalar(const OpContext& context, size_t i) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> values, IntegerInput(context, i));
  if (values.size() != 1)
    return ModelError(StrCat("input ", i, " must hold one element, its shape is ",
                             ShapeString(context.input(i)->shape())));
  return values[0];
}

Result<float> FloatScalar(const OpContext& context, size_t i) {
  const Tensor* tensor = context.input(i);
  if (tensor == nullptr) return ModelError(StrCat("input ", i, " is missing"));
  if (!IsInteger(tensor->dtype()) && !IsFloating(tensor->dtype()))
    return ModelError(
        StrCat("input ", i, " is ", DTypeName(tensor->dtype()), ", a numeric type is needed"));
  if (tensor->size() != 1)
    return ModelError(
        StrCat("input ", i, " must hold one element, its shape is ", ShapeString(tensor->shape())));
  const Tensor value = tensor->ToFloat();
  return value.data<float>()[0];
}

Result<int64_t> NormalAxis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return ModelError(StrCat("axis ", axis, " is out of range for ", rank, " dimensions"));
  return axis < 0 ? axis + rank : axis;
}

Result<std::vector<int64_t>> NormalAxes(const std::vector<int64_t>& axes, int64_t rank) {
  std::vector<int64_t> result;
  for (int64_t axis : axes) {
    ASSIGN_OR_RETURN(const int64_t normal, NormalAxis(axis, rank));
    if (std::find(result.begin(), result.end(), normal) != result.end())
      return ModelError(StrCat("axis ", axis, " is given twice"));
    result.push_back(normal);
  }
  return result;
}

int64_t Product(const Shape& shape, int64_t begin, int64_t end) {
  int64_t product = 1;
  for (int64_t i = begin; i < end; ++i) product *= shape[i];
  return product;
}

std::vector<int64_t> Strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (int64_t i = static_cast<int64_t>(shape.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

}  // namespace roundel::engine
