// Softmax, LogSoftmax and Hardmax. From opset 13 on they work along one axis (default -1); before,
// on the input flattened to a matrix at `axis` (default 1).

#include <cmath>

#include "lib/engine/kernels/common.h"
#include "lib/engine/kernels/kernels.h"
#include "lib/engine/kernels/via_float.h"

namespace roundel::engine {
namespace {

// Lines of `length` elements that lie `step` apart; line (o, i) starts at o * length * step + i.
struct Lines {
  int64_t outer, length, step;
};

Result<Lines> LinesOf(const OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 0, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  const bool one_axis = context.opset() >= 13;
  ASSIGN_OR_RETURN(const int64_t axis,
                   NormalAxis(context.node().Int("axis", one_axis || x.rank() == 1 ? -1 : 1),
                              x.rank()));
  const int64_t outer = Product(x.shape(), 0, axis);
  if (!one_axis) return Lines{outer, Product(x.shape(), axis, x.rank()), 1};
  return Lines{outer, x.dim(axis), Product(x.shape(), axis + 1, x.rank())};
}

// line(from, to, length, step) for every line, in parallel.
template <typename F>
Status ForEachLine(OpContext& context, const F& line) {
  ASSIGN_OR_RETURN(const Lines lines, LinesOf(context));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  if (x.size() == 0) return OkStatus();
  ParallelFor(lines.outer * lines.step, RowGrain(lines.length), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = i / lines.step * lines.length * lines.step + i % lines.step;
      line(from + start, to + start, lines.length, lines.step);
    }
  });
  return OkStatus();
}

float Largest(const float* from, int64_t length, int64_t step) {
  float largest = from[0];
  for (int64_t i = 1; i < length; ++i) largest = std::max(largest, from[i * step]);
  return largest;
}

Status Softmax(OpContext& context) {
  return ForEachLine(context, [](const float* from, float* to, int64_t length, int64_t step) {
    const float largest = Largest(from, length, step);
    double sum = 0;
    for (int64_t i = 0; i < length; ++i) {
      to[i * step] = std::exp(from[i * step] - largest);
      sum += static_cast<double>(to[i * step]);
    }
    const auto scale = static_cast<float>(1.0 / sum);
    for (int64_t i = 0; i < length; ++i) to[i * step] *= scale;
  });
}

Status LogSoftmax(OpContext& context) {
  return ForEachLine(context, [](const float* from, float* to, int64_t length, int64_t step) {
    const float largest = Largest(from, length, step);
    double sum = 0;
    for (int64_t i = 0; i < length; ++i)
      sum += static_cast<double>(std::exp(from[i * step] - largest));
    const double shift = static_cast<double>(largest) + std::log(sum);
    for (int64_t i = 0; i < length; ++i)
      to[i * step] = static_cast<float>(static_cast<double>(from[i * step]) - shift);
  });
}

// 1 at the first largest element.
Status Hardmax(OpContext& context) {
  return ForEachLine(context, [](const float* from, float* to, int64_t length, int64_t step) {
    int64_t best = 0;
    for (int64_t i = 0; i < length; ++i) {
      to[i * step] = 0;
      if (from[i * step] > from[best * step]) best = i;
    }
    to[best * step] = 1;
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
