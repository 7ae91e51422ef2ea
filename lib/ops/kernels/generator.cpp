// Operators that create tensors from attributes, shapes or bounds: Constant, ConstantOfShape,
// Range, EyeLike, the window functions. Also Trilu, which keeps part of its input.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "lib/graph/constant_nodes.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/small_types.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {
namespace {

// ---- Constant

Status Constant(OpContext& context) {
  std::optional<Tensor> value = graph::ConstantNodeValue(context.node());
  if (!value)
    return ModelError("Constant without a supported value (sparse tensors are not supported)");
  context.SetOutput(0, std::move(*value));
  return OkStatus();
}

// ---- ConstantOfShape

Status ConstantOfShape(OpContext& context) {
  ASSIGN_OR_RETURN(const Shape shape, IntegerInput(context, 0));
  const Tensor* given = context.node().TensorAttribute("value");
  const Tensor value = given ? *given : Tensor::Scalar(0.0f);
  if (value.size() != 1)
    return ModelError(StrCat("ConstantOfShape's value has shape ", ShapeString(value.shape()),
                             ", one element is needed"));
  return VisitBytes(value.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, value.dtype(), shape));
    T fill;
    std::memcpy(&fill, value.raw(), sizeof fill);
    T* to = static_cast<T*>(y->mutable_raw());
    std::fill(to, to + y->size(), fill);
    return OkStatus();
  });
}

// ---- Range: start, start + delta, ... before limit

template <typename T>
Status RangeTyped(OpContext& context) {
  using W = Wide<T>;
  const auto value = [&](size_t i) { return static_cast<W>(context.input(i)->data<T>()[0]); };
  const W start = value(0), limit = value(1), delta = value(2);
  if (delta == W{0}) return ModelError("Range with delta 0");
  const double steps = std::ceil((static_cast<double>(limit) - static_cast<double>(start)) /
                                 static_cast<double>(delta));
  if (!(steps < static_cast<double>(kMaxTensorBytes)))
    return ModelError(StrCat("Range of ", steps, " elements is too large"));
  const int64_t count = steps > 0 ? static_cast<int64_t>(steps) : 0;
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DTypeOf<T>::value, {count}));
  T* to = y->mutable_data<T>();
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_integral_v<T>)
      to[i] = static_cast<T>(static_cast<uint64_t>(start) +
                             static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
    else
      to[i] = T(start + static_cast<W>(i) * delta);
  }
  return OkStatus();
}

Status Range(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  const DType type = context.input(0)->dtype();
  for (size_t i = 0; i < 3; ++i)
    if (context.input(i)->dtype() != type || context.input(i)->size() != 1)
      return ModelError("Range needs three scalars of the same type");
  return VisitNumeric(type,
                      [&](auto tag) { return RangeTyped<typename decltype(tag)::Type>(context); });
}

// ---- EyeLike, Trilu

Status EyeLike(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  if (x.rank() != 2)
    return ModelError(StrCat("EyeLike of shape ", ShapeString(x.shape()), ", a matrix is needed"));
  const int64_t wanted = context.node().Int("dtype", static_cast<int64_t>(x.dtype()));
  const int64_t k = context.node().Int("k", 0), rows = x.dim(0), columns = x.dim(1);
  const DType type = wanted > 0 && wanted < 64 ? static_cast<DType>(wanted) : DType::kUndefined;
  return VisitNumericOrBool(type, [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, type, x.shape()));
    T* to = y->mutable_data<T>();
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        to[i * columns + j] = ConvertTo<T>(j - i == k ? 1.0f : 0.0f);
    return OkStatus();
  });
}

Status Trilu(OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  const Tensor& x = *context.input(0);
  const bool upper = context.node().Int("upper", 1) != 0;
  int64_t k = 0;
  if (context.input(1)) {
    ASSIGN_OR_RETURN(k, IntegerScalar(context, 1));
  }
  const int64_t rows = x.dim(-2), columns = x.dim(-1);
  return VisitBytes(x.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), x.shape()));
    const T* from = static_cast<const T*>(x.raw());
    T* to = static_cast<T*>(y->mutable_raw());
    for (int64_t flat = 0; flat < x.size(); ++flat) {
      const int64_t i = flat / columns % rows, j = flat % columns;
      to[flat] = (upper ? j - i >= k : j - i <= k) ? from[flat] : T{0};
    }
    return OkStatus();
  });
}

// ---- HannWindow, HammingWindow, BlackmanWindow: a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N)

Status WindowFunction(OpContext& context, double a0, double a1, double a2) {
  ASSIGN_OR_RETURN(const int64_t size, IntegerScalar(context, 0));
  const bool periodic = context.node().Int("periodic", 1) != 0;
  RETURN_IF_ERROR(CheckSize(DType::kDouble, {size}));
  const double length = std::max<double>(1, static_cast<double>(periodic ? size : size - 1));
  Tensor values = Tensor::Empty(DType::kFloat, {size});
  float* to = values.mutable_data<float>();
  for (int64_t n = 0; n < size; ++n) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(n) / length;
    to[n] = static_cast<float>(a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle));
  }
  const int64_t wanted = context.node().Int("output_datatype", 1);
  const DType type = wanted > 0 && wanted < 64 ? static_cast<DType>(wanted) : DType::kUndefined;
  ASSIGN_OR_RETURN(Tensor result, CastTensor(values, type, {}));
  context.SetOutput(0, std::move(result));
  return OkStatus();
}

Status HannWindow(OpContext& context) { return WindowFunction(context, 0.5, 0.5, 0); }
Status HammingWindow(OpContext& context) {
  return WindowFunction(context, 25.0 / 46.0, 21.0 / 46.0, 0);
}
Status BlackmanWindow(OpContext& context) { return WindowFunction(context, 0.42, 0.5, 0.08); }

}  // namespace

std::vector<OpEntry> GeneratorRows() {
  return {
      {"BlackmanWindow", "", 17, kLatest, &BlackmanWindow},
      {"Constant", "", 1, kLatest, &Constant},
      {"ConstantOfShape", "", 9, kLatest, &ConstantOfShape},
      {"EyeLike", "", 9, kLatest, &EyeLike},
      {"HammingWindow", "", 17, kLatest, &HammingWindow},
      {"HannWindow", "", 17, kLatest, &HannWindow},
      {"Range", "", 11, kLatest, &Range},
      {"Trilu", "", 14, kLatest, &Trilu},
  };
}

}  // namespace roundel::engine
