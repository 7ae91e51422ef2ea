// Gradients of operators of several operands.
//   MaxGrad, MinGrad(dY, Y, X1, ..., Xn) -> dX1, ..., dXn: the first operand that equals the result
//     takes the whole gradient.
//   MatMulGradA(dY, B, A) -> dA, MatMulGradB(dY, A, B) -> dB: for operands of any rank, of which the last
//     gives only its shape.
//   PReluGrad(dY, X, slope) -> dX, dSlope.
#pragma GCC optimize("O3")

#include "lib/ops/kernels/broadcast.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/matrix_product.h"
#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {
namespace {

// body(result index, operand indices) for every element of the result.
template <typename F>
void ForEachElement(const Broadcast& plan, const F& body) {
  if (NumElements(plan.shape) == 0) return;
  const size_t operands = plan.strides.size();
  const Shape outer(plan.dims.begin(), plan.dims.end() - 1);
  std::vector<int64_t> at(operands);
  int64_t out = 0;
  for (Odometer row(outer); !row.done(); row.Next()) {
    for (size_t k = 0; k < operands; ++k) {
      at[k] = 0;
      for (size_t axis = 0; axis < outer.size(); ++axis) at[k] += row[axis] * plan.strides[k][axis];
    }
    for (int64_t i = 0; i < plan.inner(); ++i) {
      body(out++, at);
      for (size_t k = 0; k < operands; ++k) at[k] += plan.step(k);
    }
  }
}

Status ExtremumGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, std::max<size_t>(3, context.input_count())));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  std::vector<Shape> shapes;
  std::vector<std::vector<double>> sums;
  for (size_t i = 2; i < context.input_count(); ++i) {
    RETURN_IF_ERROR(RequireFloat(context, {i}));
    shapes.push_back(context.input(i)->shape());
    ASSIGN_OR_RETURN(std::vector<double> zeros, NewSums(shapes.back()));
    sums.push_back(std::move(zeros));
  }
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast(shapes));
  RETURN_IF_ERROR(RequireShape(context, 0, plan.shape));
  RETURN_IF_ERROR(RequireShape(context, 1, plan.shape));
  const float *dy = context.input(0)->data<float>(), *y = context.input(1)->data<float>();
  ForEachElement(plan, [&](int64_t out, const std::vector<int64_t>& at) {
    for (size_t k = 0; k < sums.size(); ++k) {
      if (context.input(k + 2)->data<float>()[at[k]] != y[out]) continue;
      sums[k][at[k]] += static_cast<double>(dy[out]);
      return;
    }
  });
  for (size_t k = 0; k < sums.size(); ++k)
    RETURN_IF_ERROR(StoreSums(context, k, shapes[k], sums[k]));
  return OkStatus();
}

Status PReluGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  const Tensor &dy = *context.input(0), &x = *context.input(1), &slope = *context.input(2);
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({x.shape(), slope.shape()}));
  RETURN_IF_ERROR(RequireShape(context, 0, plan.shape));
  ASSIGN_OR_RETURN(std::vector<double> dx, NewSums(x.shape()));
  ASSIGN_OR_RETURN(std::vector<double> ds, NewSums(slope.shape()));
  ForEachElement(plan, [&](int64_t out, const std::vector<int64_t>& at) {
    const double d = dy.data<float>()[out], value = x.data<float>()[at[0]];
    dx[at[0]] += value > 0 ? d : d * static_cast<double>(slope.data<float>()[at[1]]);
    ds[at[1]] += value > 0 ? 0 : d * value;
  });
  RETURN_IF_ERROR(StoreSums(context, 0, x.shape(), dx));
  return StoreSums(context, 1, slope.shape(), ds);
}

// The operands, and with them dA += dY b^T or dB += a^T dY, matrix by matrix.
template <bool first>
Status MatMulGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  const Tensor &dy = *context.input(0), &other = *context.input(1), &target = *context.input(2);
  ASSIGN_OR_RETURN(const BatchedProduct p, first ? ResolveProduct(target.shape(), other.shape())
                                                 : ResolveProduct(other.shape(), target.shape()));
  RETURN_IF_ERROR(RequireShape(context, 0, p.shape));
  ASSIGN_OR_RETURN(std::vector<double> sums, NewSums(target.shape()));
  for (size_t batch = 0; batch < p.batch_a.size(); ++batch) {
    const float* d = dy.data<float>() + static_cast<int64_t>(batch) * p.m * p.n;
    const float* b =
        other.data<float>() + (first ? p.batch_b[batch] * p.k * p.n : p.batch_a[batch] * p.m * p.k);
    double* to =
        sums.data() + (first ? p.batch_a[batch] * p.m * p.k : p.batch_b[batch] * p.k * p.n);
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t k = 0; k < p.k; ++k)
        for (int64_t j = 0; j < p.n; ++j) {
          const double value = d[i * p.n + j];
          if (first)
            to[i * p.k + k] += value * static_cast<double>(b[k * p.n + j]);
          else
            to[k * p.n + j] += value * static_cast<double>(b[i * p.k + k]);
        }
  }
  return StoreSums(context, 0, target.shape(), sums);
}

}  // namespace

std::vector<OpEntry> GradientOperandsRows() {
  return {
      {"MatMulGradA", "roundel", 1, kLatest, &MatMulGrad<true>},
      {"MatMulGradB", "roundel", 1, kLatest, &MatMulGrad<false>},
      {"MaxGrad", "roundel", 1, kLatest, &ExtremumGrad},
      {"MinGrad", "roundel", 1, kLatest, &ExtremumGrad},
      {"PReluGrad", "roundel", 1, kLatest, &PReluGrad},
  };
}

}  // namespace roundel::engine
