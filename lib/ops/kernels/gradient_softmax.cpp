// SoftmaxGrad(dY, Y): dX = Y (dY - sum of dY Y along the line); LogSoftmaxGrad(dY, Y): dX = dY - exp(Y)
// times the sum of dY along the line.
#pragma GCC optimize("O3", "no-trapping-math")

#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/softmax_lines.h"
#include "lib/ops/kernels/sums.h"
#include "lib/ops/kernels/vector_math.h"

namespace roundel::engine {
namespace {

// line(dy, y, dx, length) for every line; lines with distant elements are copied.
template <typename F>
Status ForEachLine(OpContext& context, const F& line) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  ASSIGN_OR_RETURN(const Lines lines, LinesOf(context, ForwardOpset(context.node())));
  const Tensor &dy = *context.input(0), &y = *context.input(1);
  RETURN_IF_ERROR(RequireShape(context, 0, y.shape()));
  ASSIGN_OR_RETURN(Tensor * dx, NewOutput(context, 0, DType::kFloat, y.shape()));
  const float *d = dy.data<float>(), *from = y.data<float>();
  float* to = dx->mutable_data<float>();
  if (y.size() == 0) return OkStatus();
  const int64_t n = lines.length, step = lines.step;
  ParallelFor(lines.outer * step, RowGrain(n), [&](int64_t begin, int64_t end) {
    std::vector<float> gathered(step == 1 ? 0 : static_cast<size_t>(2 * n));
    for (int64_t k = begin; k < end; ++k) {
      const int64_t start = k / step * n * step + k % step;
      if (step == 1) {
        line(d + start, from + start, to + start, n);
        continue;
      }
      for (int64_t i = 0; i < n; ++i) {
        gathered[i] = d[start + i * step];
        gathered[n + i] = from[start + i * step];
      }
      line(gathered.data(), gathered.data() + n, gathered.data(), n);
      for (int64_t i = 0; i < n; ++i) to[start + i * step] = gathered[i];
    }
  });
  return OkStatus();
}

Status SoftmaxGrad(OpContext& context) {
  return ForEachLine(context, [](const float* dy, const float* y, float* dx, int64_t n) {
    const auto mean = static_cast<float>(DotOf(dy, y, n));
    for (int64_t i = 0; i < n; ++i) dx[i] = y[i] * (dy[i] - mean);
  });
}

Status LogSoftmaxGrad(OpContext& context) {
  return ForEachLine(context, [](const float* dy, const float* y, float* dx, int64_t n) {
    const auto sum = static_cast<float>(SumOf(dy, n));
    for (int64_t i = 0; i < n; ++i) dx[i] = dy[i] - ExpFloat(y[i]) * sum;
  });
}

}  // namespace

std::vector<OpEntry> GradientSoftmaxRows() {
  return {
      {"LogSoftmaxGrad", "roundel", 1, kLatest, &LogSoftmaxGrad},
      {"SoftmaxGrad", "roundel", 1, kLatest, &SoftmaxGrad},
  };
}

}  // namespace roundel::engine
