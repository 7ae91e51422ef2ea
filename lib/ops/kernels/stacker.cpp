#include "lib/ops/kernels/stacker.h"

#include <algorithm>
#include <cstring>

#include "lib/base/limits.h"
#include "lib/ops/kernels/strided_copy.h"

namespace roundel::engine {

Result<Tensor> NewTensor(DType type, const Shape& shape) {
  RETURN_IF_ERROR(CheckSize(type, shape));
  RETURN_IF_ERROR(CheckMemory(ByteSize(type, NumElements(shape))));
  return Tensor::Empty(type, shape);
}

Result<Tensor> OwnCopy(const Tensor& tensor) {
  // strings are neither written in place nor borrowed
  if (tensor.dtype() == DType::kString) return tensor;
  ASSIGN_OR_RETURN(Tensor copy, NewTensor(tensor.dtype(), tensor.shape()));
  std::memcpy(copy.mutable_raw(), tensor.raw(), static_cast<size_t>(tensor.byte_size()));
  return copy;
}

Result<Tensor> TakeSlice(const Tensor& from, int64_t axis, int64_t index) {
  Shape shape = from.shape();
  shape.erase(shape.begin() + axis);
  View view = WholeView(from.shape());
  view.offset = index * view.strides[static_cast<size_t>(axis)];
  view.strides.erase(view.strides.begin() + axis);
  if (from.dtype() == DType::kString)
    return ModelError("tensors of strings cannot be cut into slices");
  ASSIGN_OR_RETURN(Tensor slice, NewTensor(from.dtype(), shape));
  RETURN_IF_ERROR(CopyStrided(shape, from, view, &slice, WholeView(shape)));
  return slice;
}

Status Stacker::Append(const Datum& slice) {
  if (!slice.is_tensor())
    return ModelError("a sub-graph result that is collected over iterations is not a tensor");
  const Tensor& t = slice.tensor;
  if (count_ == 0) {
    type_ = t.dtype();
    shape_ = t.shape();
    if (type_ != DType::kString && BitWidth(type_) < 8)
      return ModelError(StrCat("results of ", DTypeName(type_), " cannot be collected"));
  }
  if (t.dtype() != type_ || t.shape() != shape_)
    return ModelError(StrCat("iteration ", count_, " gives ", DTypeName(t.dtype()),
                             ShapeString(t.shape()), ", those before ", DTypeName(type_),
                             ShapeString(shape_)));
  ++count_;
  if (type_ == DType::kString) {
    strings_.insert(strings_.end(), t.strings().begin(), t.strings().end());
    return OkStatus();
  }
  const int64_t total = static_cast<int64_t>(bytes_.size()) + t.byte_size();
  if (total > kMaxTensorBytes)
    return ModelError(StrCat("the results of all iterations exceed ", HumanBytes(kMaxTensorBytes)));
  // Growing needs twice the memory until the old buffer is freed.
  if (static_cast<size_t>(total) > bytes_.capacity()) RETURN_IF_ERROR(CheckMemory(2 * total));
  bytes_.append(static_cast<const char*>(t.raw()), static_cast<size_t>(t.byte_size()));
  return OkStatus();
}

namespace {

// The result of a loop without iterations.
Result<Tensor> NoSlices(int64_t axis, const graph::ValueInfo& declared) {
  Shape shape;
  if (declared.shape)
    for (const graph::Dim& dim : *declared.shape) shape.push_back(dim.value.value_or(0));
  ASSIGN_OR_RETURN(axis, NormalAxis(axis, static_cast<int64_t>(shape.size()) + 1));
  shape.insert(shape.begin() + axis, 0);
  if (declared.dtype == DType::kString) return Tensor::Strings(shape, {});
  return NewTensor(declared.dtype == DType::kUndefined ? DType::kFloat : declared.dtype, shape);
}

}  // namespace

Result<Tensor> Stacker::Finish(int64_t axis, bool reverse, const graph::ValueInfo& declared) {
  if (count_ == 0) return NoSlices(axis, declared);
  ASSIGN_OR_RETURN(axis, NormalAxis(axis, static_cast<int64_t>(shape_.size()) + 1));
  Shape stacked = shape_, wanted = shape_;
  stacked.insert(stacked.begin(), count_);
  wanted.insert(wanted.begin() + axis, count_);
  if (axis == 0 && !reverse)
    return type_ == DType::kString ? Tensor::Strings(stacked, std::move(strings_))
                                   : Tensor::FromBytes(type_, stacked, std::move(bytes_));
  if (type_ == DType::kString)
    return ModelError("results of strings are collected along axis 0 only, in order");
  const Tensor from = Tensor::FromBytes(type_, stacked, std::move(bytes_));
  ASSIGN_OR_RETURN(Tensor to, NewTensor(type_, wanted));
  View source = WholeView(stacked), target = WholeView(wanted);
  const int64_t step = target.strides[static_cast<size_t>(axis)];
  target.strides.erase(target.strides.begin() + axis);
  target.strides.insert(target.strides.begin(), step);
  if (reverse) {
    source.offset = (count_ - 1) * source.strides[0];
    source.strides[0] = -source.strides[0];
  }
  RETURN_IF_ERROR(CopyStrided(stacked, from, source, &to, target));
  return to;
}

}  // namespace roundel::engine
