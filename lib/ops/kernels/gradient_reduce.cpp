// Gradients of reductions: dX[i] = dY[line of i] * slope. ReduceSumGrad(dY, X, axes), the same for
// ReduceMean; ReduceMaxGrad and ReduceMinGrad(dY, X, axes), where the first extremum of a line takes
// the whole gradient. ChannelSum(dY) -> [C] is the gradient of a bias.

#include "lib/ops/kernels/broadcast.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/reduction.h"
#include "lib/ops/kernels/spatial.h"
#include "lib/ops/kernels/sums.h"

namespace roundel::engine {
namespace {

// The reduction of the forward node, and the shape of its result with all axes kept.
Result<Reduction> ForwardReduction(const OpContext& context, Shape* kept) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  graph::Node node = context.node();
  node.op_type = ForwardType(node);
  const std::vector<Tensor> inputs = {*context.input(1), InputOrNone(context, 2)};
  const InnerContext forward(node, ForwardOpset(node), inputs, 1);
  ASSIGN_OR_RETURN(Reduction reduction, ResolveReduction(forward));
  const Shape& x = context.input(1)->shape();
  if (reduction.nothing) reduction.reduced.assign(x.size(), false);
  RETURN_IF_ERROR(RequireShape(context, 0, reduction.Output(x)));
  reduction.keep_dims = true;
  *kept = reduction.Output(x);
  return reduction;
}

// body(x index, line index) in row-major order of x.
template <typename F>
Status ForEachElement(const Shape& x, const Shape& kept, const F& body) {
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({x, kept}));
  const Shape outer(plan.dims.begin(), plan.dims.end() - 1);
  int64_t at = 0;
  if (NumElements(x) == 0) return OkStatus();
  for (Odometer row(outer); !row.done(); row.Next()) {
    int64_t line = 0;
    for (size_t axis = 0; axis < outer.size(); ++axis) line += row[axis] * plan.strides[1][axis];
    for (int64_t i = 0; i < plan.inner(); ++i) body(at++, line + i * plan.step(1));
  }
  return OkStatus();
}

template <bool mean>
Status SumGrad(OpContext& context) {
  Shape kept;
  RETURN_IF_ERROR(ForwardReduction(context, &kept).status());
  const Shape x = context.input(1)->shape();
  ASSIGN_OR_RETURN(Tensor * dx, NewOutput(context, 0, DType::kFloat, x));
  const int64_t lines = NumElements(kept);
  const double share = mean && lines > 0 ? static_cast<double>(lines) / NumElements(x) : 1.0;
  const float* dy = context.input(0)->data<float>();
  float* to = dx->mutable_data<float>();
  return ForEachElement(x, kept, [&](int64_t i, int64_t line) {
    to[i] = static_cast<float>(share * static_cast<double>(dy[line]));
  });
}

template <bool largest>
Status ExtremumGrad(OpContext& context) {
  Shape kept;
  RETURN_IF_ERROR(ForwardReduction(context, &kept).status());
  const Tensor& x = *context.input(1);
  ASSIGN_OR_RETURN(Tensor * dx, NewOutput(context, 0, DType::kFloat, x.shape()));
  const float* from = x.data<float>();
  float* to = dx->mutable_data<float>();
  std::fill_n(to, x.size(), 0.0f);
  std::vector<int64_t> best(static_cast<size_t>(NumElements(kept)), -1);
  RETURN_IF_ERROR(ForEachElement(x.shape(), kept, [&](int64_t i, int64_t line) {
    const int64_t b = best[line];
    if (b < 0 || (largest ? from[i] > from[b] : from[i] < from[b])) best[line] = i;
  }));
  for (size_t line = 0; line < best.size(); ++line)
    if (best[line] >= 0) to[best[line]] = context.input(0)->data<float>()[line];
  return OkStatus();
}

// Sums over all axes but axis 1.
Status ChannelSum(OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& dy = *context.input(0);
  const int64_t channels = dy.dim(1), plane = Product(dy.shape(), 2, dy.rank());
  const float* from = dy.data<float>();
  std::vector<double> sums(static_cast<size_t>(channels), 0.0);
  for (int64_t i = 0; i < dy.dim(0) * channels; ++i)
    sums[i % channels] += SumOf(from + i * plane, plane);
  return StoreSums(context, 0, {channels}, sums);
}

}  // namespace

std::vector<OpEntry> GradientReduceRows() {
  return {
      {"ChannelSum", "roundel", 1, kLatest, &ChannelSum},
      {"ReduceMaxGrad", "roundel", 1, kLatest, &ExtremumGrad<true>},
      {"ReduceMeanGrad", "roundel", 1, kLatest, &SumGrad<true>},
      {"ReduceMinGrad", "roundel", 1, kLatest, &ExtremumGrad<false>},
      {"ReduceSumGrad", "roundel", 1, kLatest, &SumGrad<false>},
  };
}

}  // namespace roundel::engine
