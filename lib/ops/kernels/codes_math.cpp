#include "lib/ops/kernels/codes_math.h"

#include <algorithm>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/matrix_product.h"

namespace roundel::engine {

Status RequireCodes(const Tensor& x, const char* what) {
  if (x.dtype() == DType::kInt8 || x.dtype() == DType::kUint8) return OkStatus();
  return ModelError(StrCat(what, " is ", DTypeName(x.dtype()), ", int8 or uint8 is needed"));
}

Result<Tensor> Shifted(const OpContext& context, const Tensor& codes, size_t i, int64_t axis) {
  RETURN_IF_ERROR(RequireCodes(codes, "an operand"));
  Tensor values = codes.ToFloat();
  const Tensor* zero = context.input(i);
  if (zero == nullptr) return values;
  RETURN_IF_ERROR(RequireCodes(*zero, "a zero point"));
  const Tensor points = zero->ToFloat();
  const float* shift = points.data<float>();
  const bool one = points.size() == 1;
  // Zero points per row of a matrix may have the shape [rows, 1]; only their number is checked.
  if (!one && (codes.rank() == 0 || points.size() != codes.dim(axis)))
    return ModelError(StrCat("zero point of shape ", ShapeString(zero->shape()), " does not fit ",
                             ShapeString(codes.shape()), " along axis ", axis));
  float* to = values.mutable_data<float>();
  const int64_t inner = one ? 1 : Product(codes.shape(), axis + 1, codes.rank());
  const int64_t dim = one ? 1 : codes.dim(axis);
  for (int64_t k = 0; k < values.size(); ++k) to[k] -= shift[one ? 0 : k / inner % dim];
  return values;
}

Result<ExactProduct> MultiplyCodes(const OpContext& context, size_t a, size_t a_zero, size_t b,
                                   size_t b_zero) {
  const Tensor &left = *context.input(a), &right = *context.input(b);
  if (left.rank() < 1 || right.rank() < 1)
    return ModelError(StrCat("matrices ", ShapeString(left.shape()), " and ",
                             ShapeString(right.shape()), " do not fit"));
  // Zero points per row of the left operand, per column of the right one.
  ASSIGN_OR_RETURN(const Tensor x,
                   Shifted(context, left, a_zero, std::max<int64_t>(0, left.rank() - 2)));
  ASSIGN_OR_RETURN(const Tensor w, Shifted(context, right, b_zero, right.rank() - 1));
  ASSIGN_OR_RETURN(const BatchedProduct product, ResolveProduct(x.shape(), w.shape()));
  RETURN_IF_ERROR(CheckSize(DType::kDouble, product.shape));
  Tensor sums = Tensor::Empty(DType::kDouble, product.shape);
  const Tensor wide_x = x.FromFloatTo(DType::kDouble), wide_w = w.FromFloatTo(DType::kDouble);
  MultiplyBatches(product, wide_x.data<double>(), wide_w.data<double>(),
                  sums.mutable_data<double>());
  return ExactProduct{product.shape, std::move(sums)};
}

Result<Tensor> ScaledSums(const ExactProduct& product, float a_scale, const Tensor& b_scale,
                          const Tensor* bias, int64_t columns) {
  const bool one = b_scale.size() == 1;
  if (b_scale.dtype() != DType::kFloat || (!one && b_scale.size() != columns))
    return ModelError(StrCat("scale ", DTypeName(b_scale.dtype()), ShapeString(b_scale.shape()),
                             " for ", columns, " columns"));
  if (bias && (bias->dtype() != DType::kFloat || bias->shape() != Shape{columns}))
    return ModelError(StrCat("bias ", DTypeName(bias->dtype()), ShapeString(bias->shape()), " for ",
                             columns, " columns"));
  RETURN_IF_ERROR(CheckSize(DType::kFloat, product.shape));
  Tensor y = Tensor::Empty(DType::kFloat, product.shape);
  const double* sums = product.sums.data<double>();
  const float* scales = b_scale.data<float>();
  float* to = y.mutable_data<float>();
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t column = i % columns;
    to[i] = static_cast<float>(sums[i]) * (a_scale * scales[one ? 0 : column]);
    if (bias) to[i] += bias->data<float>()[column];
  }
  return y;
}

quant::QParams DynamicParams(const float* x, int64_t n) {
  float low = 0, high = 0;
  for (int64_t i = 0; i < n; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  const float scale = high == low ? 1.0f : (high - low) / 255.0f;
  const float point = quant::RoundHalfEven(-low / scale);
  // With an infinite range there is no zero point.
  return {scale, point > 0 ? static_cast<int32_t>(std::min(point, 255.0f)) : 0};
}

Result<CodeWriter> ResolveWriter(const OpContext& context, size_t a_scale, size_t b_scale,
                                 size_t y_scale, size_t y_zero, int64_t channels) {
  ASSIGN_OR_RETURN(const float a, FloatScalar(context, a_scale));
  ASSIGN_OR_RETURN(const float y, FloatScalar(context, y_scale));
  ASSIGN_OR_RETURN(const int64_t zero, IntegerScalar(context, y_zero));
  RETURN_IF_ERROR(RequireCodes(*context.input(y_zero), "the zero point of y"));
  if (!IsFloating(context.input(b_scale)->dtype()))
    return ModelError("the scale of the second operand is not floating");
  const Tensor b = context.input(b_scale)->ToFloat();
  if (b.size() != 1 && b.size() != channels)
    return ModelError(
        StrCat("scale of shape ", ShapeString(b.shape()), " for ", channels, " channels"));
  CodeWriter result;
  result.type = context.input(y_zero)->dtype();
  const quant::Grid grid{8, result.type == DType::kInt8};
  result.zero_point = static_cast<int32_t>(zero);
  result.low = grid.qmin();
  result.high = grid.qmax();
  for (float scale : b.span<float>()) result.factors.push_back(a * scale / y);
  return result;
}

Result<quant::QParams> TensorParams(const OpContext& context, size_t scale, DType type) {
  quant::QParams params;
  ASSIGN_OR_RETURN(params.scale, FloatScalar(context, scale));
  const Tensor* zero = context.input(scale + 1);
  if (zero == nullptr) return params;
  if (zero->dtype() != type)
    return ModelError(StrCat("zero point of type ", DTypeName(zero->dtype()), " for codes of type ",
                             DTypeName(type)));
  ASSIGN_OR_RETURN(const int64_t point, IntegerScalar(context, scale + 1));
  params.zero_point = static_cast<int32_t>(point);
  return params;
}

}  // namespace roundel::engine
