// MatMul and Gemm.
#pragma GCC optimize("O3")

#include "lib/ops/kernels/broadcast.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/matrix_product.h"
#include "lib/ops/kernels/strided_copy.h"
#include "lib/ops/kernels/types.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

template <typename T>
Status MatMulTyped(OpContext& context) {
  const Tensor &a = *context.input(0), &b = *context.input(1);
  ASSIGN_OR_RETURN(const BatchedProduct product, ResolveProduct(a.shape(), b.shape()));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DTypeOf<T>::value, product.shape));
  MultiplyBatches(product, a.data<T>(), b.data<T>(), y->mutable_data<T>());
  return OkStatus();
}

Status MatMul(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const DType type = context.input(0)->dtype();
  if (context.input(1)->dtype() != type)
    return ModelError(StrCat("operands of different types ", DTypeName(type), " and ",
                             DTypeName(context.input(1)->dtype())));
  switch (type) {
    case DType::kFloat: return MatMulTyped<float>(context);
    case DType::kDouble: return MatMulTyped<double>(context);
    case DType::kInt32: return MatMulTyped<int32_t>(context);
    case DType::kUint32: return MatMulTyped<uint32_t>(context);
    case DType::kInt64: return MatMulTyped<int64_t>(context);
    case DType::kUint64: return MatMulTyped<uint64_t>(context);
    default: return UnsupportedType(type);
  }
}

// float16 and bfloat16 are computed in float; float64 is computed in float64.
Status MatMulAny(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  return context.input(0)->dtype() == DType::kDouble ? MatMul(context) : ViaFloat<&MatMul>(context);
}

// [rows, columns] -> [columns, rows]
Tensor Transposed(const Tensor& matrix) {
  const Shape shape = {matrix.dim(1), matrix.dim(0)};
  Tensor result = Tensor::Empty(matrix.dtype(), shape);
  const Status copied =
      CopyStrided(shape, matrix, {0, {1, matrix.dim(1)}}, &result, WholeView(shape));
  INVARIANT(copied.ok(), copied.message());
  return result;
}

// ---- Gemm: y = alpha * a' * b' + beta * c, c broadcast to [m, n]

Status Gemm(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor &a = *context.input(0), &b = *context.input(1);
  const Tensor* c = context.input(2);
  const bool trans_a = context.node().Int("transA", 0) != 0;
  const bool trans_b = context.node().Int("transB", 0) != 0;
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  if (a.rank() != 2 || b.rank() != 2 || a.dim(trans_a ? 0 : 1) != b.dim(trans_b ? 1 : 0))
    return ModelError(StrCat("matrices ", ShapeString(a.shape()), trans_a ? " (transposed)" : "",
                             " and ", ShapeString(b.shape()), trans_b ? " (transposed)" : "",
                             " do not fit"));
  const int64_t m = a.dim(trans_a ? 1 : 0), k = a.dim(trans_a ? 0 : 1);
  const int64_t n = b.dim(trans_b ? 0 : 1);
  const Shape shape = {m, n};
  ASSIGN_OR_RETURN(const Broadcast bias, PlanBroadcast({shape, c ? c->shape() : Shape{}}));
  if (bias.shape != shape)
    return ModelError(
        StrCat("bias of shape ", ShapeString(c->shape()), " does not fit ", ShapeString(shape)));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  float* out = y->mutable_data<float>();
  const Matrix<float> left{a.data<float>(), trans_a ? 1 : k, trans_a ? m : 1};
  const Tensor right = trans_b ? Transposed(b) : b;
  const double alpha = context.node().Float("alpha", 1), beta = context.node().Float("beta", 1);
  Multiply<float>(m, k, n, left, right.data<float>(), out, alpha);
  if (c == nullptr) return OkStatus();
  const float* bias_data = c->data<float>();
  ForEachRun(bias, [&](int64_t at, const int64_t* in, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
      out[at + i] += static_cast<float>(beta * bias_data[in[1] + i * bias.step(1)]);
  });
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> MatMulRows() {
  return {
      {"Gemm", "", 1, kLatest, &ViaFloat<&Gemm>},
      {"MatMul", "", 1, kLatest, &MatMulAny},
  };
}

}  // namespace roundel::engine
