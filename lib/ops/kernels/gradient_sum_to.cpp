// SumTo(dY, X): the gradient of broadcasting. Sums dY over the axes along which X was repeated, so that
// the result has the shape of X.
#pragma GCC optimize("O3")

#include "lib/ops/kernels/broadcast.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/spatial.h"
#include "lib/ops/kernels/sums.h"

namespace roundel::engine {
namespace {

// sums[] += dy, row by row: operand 1 of the plan gives the place of each row.
void AddRows(const Broadcast& plan, const float* dy, double* sums) {
  const int64_t inner = plan.inner(), step = plan.step(1);
  const Shape outer(plan.dims.begin(), plan.dims.end() - 1);
  for (Odometer row(outer); !row.done(); row.Next(), dy += inner) {
    int64_t place = 0;
    for (size_t axis = 0; axis < outer.size(); ++axis) place += row[axis] * plan.strides[1][axis];
    if (step == 0) {
      sums[place] += SumOf(dy, inner);
      continue;
    }
    for (int64_t i = 0; i < inner; ++i) sums[place + i] += static_cast<double>(dy[i]);
  }
}

Status SumTo(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor &dy = *context.input(0), &x = *context.input(1);
  if (dy.shape() == x.shape()) {
    context.SetOutput(0, dy);
    return OkStatus();
  }
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({dy.shape(), x.shape()}));
  if (plan.shape != dy.shape())
    return ModelError(StrCat("a value of shape ", ShapeString(x.shape()), " is never broadcast to ",
                             ShapeString(dy.shape())));
  ASSIGN_OR_RETURN(std::vector<double> sums, NewSums(x.shape()));
  if (dy.size() > 0) AddRows(plan, dy.data<float>(), sums.data());
  return StoreSums(context, 0, x.shape(), sums);
}

}  // namespace

std::vector<OpEntry> GradientSumToRows() { return {{"SumTo", "roundel", 1, kLatest, &SumTo}}; }

}  // namespace roundel::engine
