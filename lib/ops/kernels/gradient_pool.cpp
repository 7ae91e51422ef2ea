// Gradients of pooling over any number of spatial axes: MaxPoolGrad(dY, X), AveragePoolGrad(dY, X),
// GlobalAveragePoolGrad(dY, X), GlobalMaxPoolGrad(dY, X). The first maximum of a window, in row-major
// order, takes the whole gradient.
#pragma GCC optimize("O3")

#include <algorithm>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/pool_window.h"

namespace roundel::engine {
namespace {

// Calls add(sums, walker, x, output position, dy) for every element of dY, with the plane of X and the
// sums of its gradient. Planes in parallel.
template <typename F>
Status ForEachWindow(OpContext& context, const F& add) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  const Tensor &dy = *context.input(0), &x = *context.input(1);
  ASSIGN_OR_RETURN(const Window window, PoolWindow(context.node(), x));
  RETURN_IF_ERROR(RequireShape(context, 0, OutputShape(x, window)));
  ASSIGN_OR_RETURN(Tensor * dx, NewOutput(context, 0, DType::kFloat, x.shape()));
  const int64_t in_plane = NumElements(window.input), out_plane = NumElements(window.output);
  const float *from = x.data<float>(), *d = dy.data<float>();
  float* to = dx->mutable_data<float>();
  ParallelFor(x.dim(0) * x.dim(1), RowGrain(in_plane), [&](int64_t begin, int64_t end) {
    TapWalker walker(window);
    std::vector<double> sums(static_cast<size_t>(in_plane));
    for (int64_t plane = begin; plane < end; ++plane) {
      std::fill(sums.begin(), sums.end(), 0.0);
      int64_t flat = plane * out_plane;
      for (Odometer out(window.output); !out.done(); out.Next())
        add(sums.data(), walker, window, from + plane * in_plane, out.index(),
            static_cast<double>(d[flat++]));
      for (int64_t i = 0; i < in_plane; ++i) to[plane * in_plane + i] = static_cast<float>(sums[i]);
    }
  });
  return OkStatus();
}

Status MaxPoolGrad(OpContext& context) {
  return ForEachWindow(context, [](double* sums, TapWalker& walker, const Window&, const float* x,
                                   const std::vector<int64_t>& out, double dy) {
    int64_t best = -1;
    walker.ForEachTap(out, [&](int64_t i) {
      if (best < 0 || x[i] > x[best]) best = i;
    });
    if (best >= 0) sums[best] += dy;
  });
}

Status AveragePoolGrad(OpContext& context) {
  const bool include_pad = context.node().Int("count_include_pad", 0) != 0;
  return ForEachWindow(
      context, [include_pad](double* sums, TapWalker& walker, const Window& window, const float*,
                             const std::vector<int64_t>& out, double dy) {
        int64_t count = 0;
        walker.ForEachTap(out, [&](int64_t) { ++count; });
        if (include_pad) count = TapsWithPadding(window, out);
        walker.ForEachTap(out, [&](int64_t i) { sums[i] += dy / static_cast<double>(count); });
      });
}

// fill(x, dy, n, dx) for every plane of n elements.
template <typename F>
Status ForEachPlane(OpContext& context, const F& fill) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireRank(context, 1, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  const Tensor &dy = *context.input(0), &x = *context.input(1);
  const int64_t planes = x.dim(0) * x.dim(1), n = Product(x.shape(), 2, x.rank());
  if (dy.size() != planes || n == 0)
    return ModelError(StrCat("a gradient of shape ", ShapeString(dy.shape()), " for planes of ",
                             ShapeString(x.shape())));
  ASSIGN_OR_RETURN(Tensor * dx, NewOutput(context, 0, DType::kFloat, x.shape()));
  const float *from = x.data<float>(), *d = dy.data<float>();
  float* to = dx->mutable_data<float>();
  ParallelFor(planes, RowGrain(n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) fill(from + i * n, d[i], n, to + i * n);
  });
  return OkStatus();
}

Status GlobalAveragePoolGrad(OpContext& context) {
  return ForEachPlane(context, [](const float*, float dy, int64_t n, float* dx) {
    std::fill_n(dx, n, static_cast<float>(static_cast<double>(dy) / static_cast<double>(n)));
  });
}

Status GlobalMaxPoolGrad(OpContext& context) {
  return ForEachPlane(context, [](const float* x, float dy, int64_t n, float* dx) {
    std::fill_n(dx, n, 0.0f);
    dx[std::max_element(x, x + n) - x] = dy;
  });
}

}  // namespace

std::vector<OpEntry> GradientPoolRows() {
  return {
      {"AveragePoolGrad", "roundel", 1, kLatest, &AveragePoolGrad},
      {"GlobalAveragePoolGrad", "roundel", 1, kLatest, &GlobalAveragePoolGrad},
      {"GlobalMaxPoolGrad", "roundel", 1, kLatest, &GlobalMaxPoolGrad},
      {"MaxPoolGrad", "roundel", 1, kLatest, &MaxPoolGrad},
  };
}

}  // namespace roundel::engine
