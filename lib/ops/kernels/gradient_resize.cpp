// ResizeGrad(dY, X, roi, scales, sizes), UpsampleGrad(dY, X, scales): each axis passes its weights back,
// in the opposite order of the axes. Extrapolated elements have no gradient.
#pragma GCC optimize("O3")

#include <algorithm>

#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/resize_taps.h"

namespace roundel::engine {
namespace {

using resize::AxisSpec;
using resize::Taps;

// dy [outer, to, inner] -> dx [outer, from, inner]
Tensor SpreadAxis(const Tensor& dy, int64_t axis, int64_t from, const std::vector<Taps>& taps) {
  Shape shape = dy.shape();
  shape[axis] = from;
  const auto to = static_cast<int64_t>(taps.size());
  const int64_t outer = Product(shape, 0, axis), inner = Product(shape, axis + 1, dy.rank());
  Tensor dx = Tensor::Empty(DType::kFloat, shape);
  const float* source = dy.data<float>();
  float* target = dx.mutable_data<float>();
  ParallelFor(outer, RowGrain(to * inner), [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(from * inner));
    for (int64_t row = begin; row < end; ++row) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t o = 0; o < to; ++o) {
        const Taps& tap = taps[o];
        const float* d = source + (row * to + o) * inner;
        for (size_t k = 0; k < tap.positions.size() && !tap.outside; ++k) {
          double* sum = sums.data() + tap.positions[k] * inner;
          const double weight = tap.weights[k];
          for (int64_t i = 0; i < inner; ++i) sum[i] += weight * static_cast<double>(d[i]);
        }
      }
      for (int64_t i = 0; i < from * inner; ++i)
        target[row * from * inner + i] = static_cast<float>(sums[i]);
    }
  });
  return dx;
}

Status ResizeGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  graph::Node node = context.node();
  node.op_type = ForwardType(node);
  std::vector<Tensor> inputs;
  for (size_t i = 1; i < context.input_count(); ++i) inputs.push_back(InputOrNone(context, i));
  const InnerContext forward(node, ForwardOpset(node), inputs, 1);
  ASSIGN_OR_RETURN(const resize::Settings settings, resize::ReadSettings(forward));
  ASSIGN_OR_RETURN(const std::vector<AxisSpec> axes, resize::ResolveAxes(forward, settings));
  Shape shape;
  for (const AxisSpec& axis : axes) shape.push_back(axis.to);
  RETURN_IF_ERROR(RequireShape(context, 0, shape));
  Tensor dx = *context.input(0);
  for (size_t i = axes.size(); i-- > 0;) {
    shape[i] = axes[i].from;
    RETURN_IF_ERROR(CheckSize(DType::kDouble, shape));
    const std::vector<Taps> taps = resize::TapsOf(settings, axes[i]);
    if (!resize::IsIdentity(taps, axes[i].from))
      dx = SpreadAxis(dx, static_cast<int64_t>(i), axes[i].from, taps);
  }
  context.SetOutput(0, dx);
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> GradientResizeRows() {
  return {
      {"ResizeGrad", "roundel", 1, kLatest, &ResizeGrad},
      {"UpsampleGrad", "roundel", 1, kLatest, &ResizeGrad},
  };
}

}  // namespace roundel::engine
