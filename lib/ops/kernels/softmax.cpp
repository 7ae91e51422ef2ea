// Softmax, LogSoftmax and Hardmax. Since opset 13 they work along one axis (default -1); before, on
// the input flattened to a matrix at `axis` (default 1).
#pragma GCC optimize("O3", "no-trapping-math")

#include <algorithm>
#include <cmath>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/softmax_lines.h"
#include "lib/ops/kernels/sums.h"
#include "lib/ops/kernels/vector_math.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// line(from, to, length) for every line, in parallel. Lines with distant elements are copied to a
// contiguous buffer and back.
template <typename F>
Status ForEachLine(OpContext& context, const F& line) {
  ASSIGN_OR_RETURN(const Lines lines, LinesOf(context, context.opset()));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  if (x.size() == 0) return OkStatus();
  const int64_t n = lines.length, step = lines.step;
  ParallelFor(lines.outer * step, RowGrain(n), [&](int64_t begin, int64_t end) {
    std::vector<float> gathered(step == 1 ? 0 : static_cast<size_t>(n));
    for (int64_t k = begin; k < end; ++k) {
      const int64_t start = k / step * n * step + k % step;
      if (step == 1) {
        line(from + start, to + start, n);
        continue;
      }
      for (int64_t i = 0; i < n; ++i) gathered[i] = from[start + i * step];
      line(gathered.data(), gathered.data(), n);
      for (int64_t i = 0; i < n; ++i) to[start + i * step] = gathered[i];
    }
  });
  return OkStatus();
}

float Largest(const float* from, int64_t n) {
  float largest = from[0];
  for (int64_t i = 1; i < n; ++i) largest = from[i] > largest ? from[i] : largest;
  return largest;
}

Status Softmax(OpContext& context) {
  return ForEachLine(context, [](const float* from, float* to, int64_t n) {
    const float largest = Largest(from, n);
    for (int64_t i = 0; i < n; ++i) to[i] = ExpFloat(from[i] - largest);
    const auto scale = static_cast<float>(1.0 / SumOf(to, n));
    for (int64_t i = 0; i < n; ++i) to[i] *= scale;
  });
}

Status LogSoftmax(OpContext& context) {
  return ForEachLine(context, [](const float* from, float* to, int64_t n) {
    const float largest = Largest(from, n);
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(std::exp(from[i] - largest));
    const double shift = static_cast<double>(largest) + std::log(sum);
    for (int64_t i = 0; i < n; ++i)
      to[i] = static_cast<float>(static_cast<double>(from[i]) - shift);
  });
}

// 1 at the first maximum.
Status Hardmax(OpContext& context) {
  return ForEachLine(context, [](const float* from, float* to, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; ++i)
      if (from[i] > from[best]) best = i;
    std::fill_n(to, n, 0.0f);
    to[best] = 1;
  });
}

}  // namespace

std::vector<OpEntry> SoftmaxRows() {
  return {
      {"Hardmax", "", 1, kLatest, &ViaFloat<&Hardmax>},
      {"LogSoftmax", "", 1, kLatest, &ViaFloat<&LogSoftmax>},
      {"Softmax", "", 1, kLatest, &ViaFloat<&Softmax>},
  };
}

}  // namespace roundel::engine
