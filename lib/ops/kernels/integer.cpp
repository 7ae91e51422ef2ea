// Integer arithmetic on codes: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv. Sums of
// products of 8-bit codes are exact in double for any size that fits into memory.

#include "lib/ops/kernels/codes_math.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/convolve.h"
#include "lib/ops/kernels/inner_op.h"
#include "lib/ops/kernels/kernels.h"

namespace roundel::engine {
namespace {

// ---- matrices

Status MatMulInteger(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  ASSIGN_OR_RETURN(const ExactProduct product, MultiplyCodes(context, 0, 2, 1, 3));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kInt32, product.shape));
  const double* sums = product.sums.data<double>();
  int32_t* to = y->mutable_data<int32_t>();
  for (int64_t i = 0; i < y->size(); ++i) to[i] = ToInt32(sums[i]);
  return OkStatus();
}

Status QLinearMatMul(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 8));
  ASSIGN_OR_RETURN(const ExactProduct product, MultiplyCodes(context, 0, 2, 3, 5));
  const int64_t columns = context.input(3)->dim(-1);
  ASSIGN_OR_RETURN(const CodeWriter writer, ResolveWriter(context, 1, 4, 6, 7, columns));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, writer.type, product.shape));
  void* to = y->mutable_raw();
  for (int64_t i = 0; i < y->size(); ++i)
    writer.Store(product.sums.data<double>()[i], i % columns, to, i);
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

// y of x [N, C, ...] (input 0, or input 0 converted from another layout).
Result<Tensor> ConvolveCodes(const OpContext& context, const Tensor& codes) {
  const Tensor& weights = *context.input(3);
  ASSIGN_OR_RETURN(const Convolution conv,
                   ResolveConvolution(context.node(), codes.shape(), weights.shape()));
  ASSIGN_OR_RETURN(const Tensor x, Shifted(context, codes, 2, 1));
  ASSIGN_OR_RETURN(const Tensor w, Shifted(context, weights, 5, 0));
  ASSIGN_OR_RETURN(const CodeWriter writer, ResolveWriter(context, 1, 4, 6, 7, conv.channels_out));
  const Tensor* bias = context.input(8);
  if (bias && (bias->dtype() != DType::kInt32 || bias->shape() != Shape{conv.channels_out}))
    return ModelError(StrCat("bias ", DTypeName(bias->dtype()), ShapeString(bias->shape()),
                             " where int32[", conv.channels_out, "] is needed"));
  RETURN_IF_ERROR(CheckSize(writer.type, conv.output_shape()));
  Tensor y = Tensor::Empty(writer.type, conv.output_shape());
  void* out = y.mutable_raw();
  const int64_t plane = NumElements(conv.window.output);
  Convolve(conv, x.data<float>(), w.data<float>(), [&](int64_t n, int64_t c, const double* sums) {
    const int64_t start = (n * conv.channels_out + c) * plane;
    const double b = bias ? bias->data<int32_t>()[c] : 0.0;
    for (int64_t i = 0; i < plane; ++i) writer.Store(sums[i] + b, c, out, start + i);
  });
  return y;
}

Status QLinearConv(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 8));
  if (context.node().Int("channels_last", 0) == 0) {
    ASSIGN_OR_RETURN(Tensor y, ConvolveCodes(context, *context.input(0)));
    context.SetOutput(0, std::move(y));
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const Tensor x, ToChannelsFirst(*context.input(0)));
  ASSIGN_OR_RETURN(const Tensor y, ConvolveCodes(context, x));
  ASSIGN_OR_RETURN(Tensor last, ToChannelsLast(y));
  context.SetOutput(0, std::move(last));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> IntegerRows() {
  return {
      {"ConvInteger", "", 10, kLatest, &ConvInteger},
      {"MatMulInteger", "", 10, kLatest, &MatMulInteger},
      {"QLinearConv", "", 10, kLatest, &QLinearConv},
      {"QLinearConv", "com.microsoft", 1, kLatest, &QLinearConv},
      {"QLinearMatMul", "", 10, kLatest, &QLinearMatMul},
  };
}

}  // namespace roundel::engine
