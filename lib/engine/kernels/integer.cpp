// Integer arithmetic on codes: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv. Sums of
// products of 8-bit codes are exact in double for any size that fits into memory.

#include <cmath>

#include "lib/engine/kernels/common.h"
#include "lib/engine/kernels/convolve.h"
#include "lib/engine/kernels/kernels.h"
#include "lib/engine/kernels/matrix_product.h"
#include "lib/quant/grid.h"

namespace roundel::engine {
namespace {

Status RequireCodes(const Tensor& x, const char* what) {
  if (x.dtype() == DType::kInt8 || x.dtype() == DType::kUint8) return OkStatus();
  return ModelError(StrCat(what, " is ", DTypeName(x.dtype()), ", int8 or uint8 is needed"));
}

// codes - zero point, as floats (exact). The zero point, input `i`, is absent, one value, or one
// per index of `axis`.
Result<Tensor> Shifted(const OpContext& context, const Tensor& codes, size_t i, int64_t axis) {
  RETURN_IF_ERROR(RequireCodes(codes, "an operand"));
  Tensor values = codes.ToFloat();
  const Tensor* zero = context.input(i);
  if (zero == nullptr) return values;
  RETURN_IF_ERROR(RequireCodes(*zero, "a zero point"));
  const Tensor points = zero->ToFloat();
  const float* shift = points.data<float>();
  const bool one = points.size() == 1;
  // Per row zero points of a matrix may come as [rows, 1]; only their number matters.
  if (!one && (codes.rank() == 0 || points.size() != codes.dim(axis)))
    return ModelError(StrCat("zero point of shape ", ShapeString(zero->shape()), " does not fit ",
                             ShapeString(codes.shape()), " along axis ", axis));
  float* to = values.mutable_data<float>();
  const int64_t inner = one ? 1 : Product(codes.shape(), axis + 1, codes.rank());
  const int64_t dim = one ? 1 : codes.dim(axis);
  for (int64_t k = 0; k < values.size(); ++k) to[k] -= shift[one ? 0 : k / inner % dim];
  return values;
}

// The value of a wrapping 32-bit accumulator.
int32_t ToInt32(double sum) {
  return static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(sum)));
}

// ---- matrices

// Sums of (a - zero) * (b - zero), exact in float64.
struct ExactProduct {
  Shape shape;
  Tensor sums;  // float64
};

Result<ExactProduct> MultiplyCodes(const OpContext& context, size_t a, size_t a_zero, size_t b,
                                   size_t b_zero) {
  const Tensor &left = *context.input(a), &right = *context.input(b);
  if (left.rank() < 1 || right.rank() < 1)
    return ModelError(StrCat("matrices ", ShapeString(left.shape()), " and ",
                             ShapeString(right.shape()), " do not fit"));
  // Per row of the left operand, per column of the right one.
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

Status MatMulInteger(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  ASSIGN_OR_RETURN(const ExactProduct product, MultiplyCodes(context, 0, 2, 1, 3));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kInt32, product.shape));
  const double* sums = product.sums.data<double>();
  int32_t* to = y->mutable_data<int32_t>();
  for (int64_t i = 0; i < y->size(); ++i) to[i] = ToInt32(sums[i]);
  return OkStatus();
}

// ---- back to codes: clamp(round(sum * (scale_a * scale_b / scale_y)) + zero_y)

struct Requantizer {
  std::vector<float> factors;  // one, or one per channel
  DType type;
  int32_t zero_point, low, high;

  void Store(double sum, int64_t channel, void* to, int64_t i) const {
    const float factor = factors[factors.size() == 1 ? 0 : channel];
    // Quantize(x, {1 / factor ...}) with the division already folded into the factor.
    const int32_t code =
        quant::Quantize(static_cast<float>(sum) * factor, {1.0f, zero_point}, low, high);
    if (type == DType::kInt8)
      static_cast<int8_t*>(to)[i] = static_cast<int8_t>(code);
    else
      static_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(code);
  }
};

// Inputs: scales of both operands and of y, zero point of y. `channels`: how many b scales may be.
Result<Requantizer> ResolveRequantizer(const OpContext& context, size_t a_scale, size_t b_scale,
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
  Requantizer result;
  result.type = context.input(y_zero)->dtype();
  const quant::Grid grid{8, result.type == DType::kInt8};
  result.zero_point = static_cast<int32_t>(zero);
  result.low = grid.qmin();
  result.high = grid.qmax();
  for (float scale : b.span<float>()) result.factors.push_back(a * scale / y);
  return result;
}

Status QLinearMatMul(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 8));
  ASSIGN_OR_RETURN(const ExactProduct product, MultiplyCodes(context, 0, 2, 3, 5));
  const int64_t columns = context.input(3)->dim(-1);
  ASSIGN_OR_RETURN(const Requantizer requantizer, ResolveRequantizer(context, 1, 4, 6, 7, columns));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, requantizer.type, product.shape));
  void* to = y->mutable_raw();
  for (int64_t i = 0; i < y->size(); ++i)
    requantizer.Store(product.sums.data<double>()[i], i % columns, to, i);
  return OkStatus();
}

// ---- convolutions

Status ConvInteger(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor &codes = *context.input(0), &weights = *context.input(1);
  ASSIGN_OR_RETURN(const Convolution conv,
                   ResolveConvolution(context.node(), codes.shape(), weights.shape()));
  ASSIGN_OR_RETURN(const Tensor x, Shifted(context, codes, 2, 1));
  ASSIGN_OR_RETURN(const Tensor w, Shifted(context, weights, 3, 0));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kInt32, conv.output_shape()));
  int32_t* out = y->mutable_data<int32_t>();
  const int64_t plane = NumElements(conv.window.output);
  Convolve(conv, x.data<float>(), w.data<float>(), [&](int64_t n, int64_t c, const double* sums) {
    int32_t* to = out + (n * conv.channels_out + c) * plane;
    for (int64_t i = 0; i < plane; ++i) to[i] = ToInt32(sums[i]);
  });
  return OkStatus();
}

Status QLinearConv(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 8));
  const Tensor &codes = *context.input(0), &weights = *context.input(3);
  ASSIGN_OR_RETURN(const Convolution conv,
                   ResolveConvolution(context.node(), codes.shape(), weights.shape()));
  ASSIGN_OR_RETURN(const Tensor x, Shifted(context, codes, 2, 1));
  ASSIGN_OR_RETURN(const Tensor w, Shifted(context, weights, 5, 0));
  ASSIGN_OR_RETURN(const Requantizer requantizer,
                   ResolveRequantizer(context, 1, 4, 6, 7, conv.channels_out));
  const Tensor* bias = context.input(8);
  if (bias && (bias->dtype() != DType::kInt32 || bias->shape() != Shape{conv.channels_out}))
    return ModelError(StrCat("bias ", DTypeName(bias->dtype()), ShapeString(bias->shape()),
                             " where int32[", conv.channels_out, "] is needed"));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, requantizer.type, conv.output_shape()));
  void* out = y->mutable_raw();
  const int64_t plane = NumElements(conv.window.output);
  Convolve(conv, x.data<float>(), w.data<float>(), [&](int64_t n, int64_t c, const double* sums) {
    const int64_t start = (n * conv.channels_out + c) * plane;
    const double b = bias ? bias->data<int32_t>()[c] : 0.0;
    for (int64_t i = 0; i < plane; ++i) requantizer.Store(sums[i] + b, c, out, start + i);
  });
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> IntegerRows() {
  return {
      {"ConvInteger", "", 10, kLatest, &ConvInteger},
      {"MatMulInteger", "", 10, kLatest, &MatMulInteger},
      {"QLinearConv", "", 10, kLatest, &QLinearConv},
      {"QLinearMatMul", "", 10, kLatest, &QLinearMatMul},
  };
}

}  // namespace roundel::engine
