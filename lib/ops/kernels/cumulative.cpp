// CumSum.

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {
namespace {

// exclusive: y[i] is the sum of the elements before i; reverse: from the end.
template <typename T>
void SumAlong(const T* from, T* to, int64_t n, int64_t step, bool exclusive, bool reverse) {
  Wide<T> total{0};
  for (int64_t k = 0; k < n; ++k) {
    const int64_t i = (reverse ? n - 1 - k : k) * step;
    if (exclusive) to[i] = T(total);
    if constexpr (std::is_integral_v<T>)
      total = static_cast<T>(static_cast<uint64_t>(total) + static_cast<uint64_t>(from[i]));
    else
      total += from[i];
    if (!exclusive) to[i] = T(total);
  }
}

Status CumSum(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const int64_t raw_axis, IntegerScalar(context, 1));
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(raw_axis, x.rank()));
  const bool exclusive = context.node().Int("exclusive", 0) != 0;
  const bool reverse = context.node().Int("reverse", 0) != 0;
  const int64_t n = x.dim(axis), step = Product(x.shape(), axis + 1, x.rank());
  return VisitNumeric(x.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), x.shape()));
    const int64_t lines = n == 0 ? 0 : x.size() / n;
    for (int64_t line = 0; line < lines; ++line) {
      const int64_t start = line / step * n * step + line % step;
      SumAlong(x.data<T>() + start, y->mutable_data<T>() + start, n, step, exclusive, reverse);
    }
    return OkStatus();
  });
}

}  // namespace

std::vector<OpEntry> CumulativeRows() {
  return {
      {"CumSum", "", 11, kLatest, &CumSum},
  };
}

}  // namespace roundel::engine
