// ReduceSum and the other reductions, ArgMax, ArgMin.
#pragma GCC optimize("O3")

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/reduction.h"
#include "lib/ops/kernels/strided_copy.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {
namespace {

// ---- accumulators: floats in double, integers in wrapping 64-bit arithmetic

template <typename T>
using Total = std::conditional_t<kIsFloat<T>, double,
                                 std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;

template <typename A>
A WrappingAdd(A a, A b) {
  if constexpr (std::is_integral_v<A>)
    return static_cast<A>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return a + b;
}
template <typename A>
A WrappingMultiply(A a, A b) {
  if constexpr (std::is_integral_v<A>)
    return static_cast<A>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else
    return a * b;
}
template <typename A>
A Magnitude(A a) {
  return a < A{0} ? WrappingMultiply(a, static_cast<A>(-1)) : a;
}

// Each reduction: start value, one step, and the final value (n = number of elements).
struct SumOp {
  template <typename T>
  static Total<T> Start() {
    return 0;
  }
  template <typename A>
  static A Step(A total, A x) {
    return WrappingAdd(total, x);
  }
  template <typename A>
  static A End(A total, int64_t) {
    return total;
  }
};
struct MeanOp : SumOp {
  template <typename A>
  static A End(A total, int64_t n) {
    if constexpr (std::is_integral_v<A>)
      return n == 0 ? A{0} : total / static_cast<A>(n);
    else
      return total / static_cast<double>(n);
  }
};
struct ProdOp {
  template <typename T>
  static Total<T> Start() {
    return 1;
  }
  template <typename A>
  static A Step(A total, A x) {
    return WrappingMultiply(total, x);
  }
  template <typename A>
  static A End(A total, int64_t) {
    return total;
  }
};
struct L1Op : SumOp {
  template <typename A>
  static A Step(A total, A x) {
    return WrappingAdd(total, Magnitude(x));
  }
};
struct SumSquareOp : SumOp {
  template <typename A>
  static A Step(A total, A x) {
    return WrappingAdd(total, WrappingMultiply(x, x));
  }
};
struct L2Op : SumSquareOp {
  template <typename A>
  static A End(A total, int64_t) {
    return static_cast<A>(std::sqrt(static_cast<double>(total)));
  }
};
struct LogSumOp : SumOp {
  template <typename A>
  static A End(A total, int64_t) {
    return ConvertTo<A>(std::log(static_cast<double>(total)));
  }
};
// NaN propagates, as in numpy; without elements the result is the lowest value of the type (opset
// 20).
struct MaxOp {
  template <typename T>
  static Total<T> Start() {
    if constexpr (kIsFloat<T>)
      return -std::numeric_limits<double>::infinity();
    else
      return std::numeric_limits<T>::lowest();
  }
  template <typename A>
  static A Step(A total, A x) {
    return x > total || x != x ? x : total;
  }
  template <typename A>
  static A End(A total, int64_t) {
    return total;
  }
};
struct MinOp {
  template <typename T>
  static Total<T> Start() {
    if constexpr (kIsFloat<T>)
      return std::numeric_limits<double>::infinity();
    else
      return std::numeric_limits<T>::max();
  }
  template <typename A>
  static A Step(A total, A x) {
    return x < total || x != x ? x : total;
  }
  template <typename A>
  static A End(A total, int64_t) {
    return total;
  }
};

// ---- axes

// x as [kept..., reduced...]; the same tensor if the reduced axes are the last ones.
Result<Tensor> ReducedAxesLast(const Tensor& x, const std::vector<bool>& reduced) {
  std::vector<int64_t> order(reduced.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_partition(order.begin(), order.end(), [&](int64_t axis) { return !reduced[axis]; });
  if (std::is_sorted(order.begin(), order.end())) return x;
  const std::vector<int64_t> strides = Strides(x.shape());
  Shape shape;
  View view;
  for (int64_t axis : order) {
    shape.push_back(x.dim(axis));
    view.strides.push_back(strides[axis]);
  }
  Tensor moved = Tensor::Empty(x.dtype(), shape);
  RETURN_IF_ERROR(CopyStrided(shape, x, view, &moved, WholeView(shape)));
  return moved;
}

// ---- the operators

template <typename T, typename Op>
void ReduceLines(const Tensor& x, int64_t rows, int64_t n, Tensor* y) {
  using A = Total<T>;
  const T* from = x.data<T>();
  T* to = y->mutable_data<T>();
  ParallelFor(rows, RowGrain(n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      A total = Op::template Start<T>();
      for (int64_t i = 0; i < n; ++i)
        total = Op::Step(total, static_cast<A>(static_cast<Wide<T>>(from[row * n + i])));
      to[row] = ConvertTo<T>(Op::End(total, n));
    }
  });
}

template <typename Op>
Status Reduce(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const Reduction reduction, ResolveReduction(context));
  if (reduction.nothing) {
    context.SetOutput(0, x);
    return OkStatus();
  }
  return VisitNumeric(x.dtype(), [&](auto tag) -> Status {
    const Shape shape = reduction.Output(x.shape());
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), shape));
    ASSIGN_OR_RETURN(const Tensor moved, ReducedAxesLast(x, reduction.reduced));
    const int64_t rows = y->size();
    int64_t n = 1;
    for (size_t i = 0; i < reduction.reduced.size(); ++i)
      if (reduction.reduced[i]) n *= x.shape()[i];
    ReduceLines<typename decltype(tag)::Type, Op>(moved, rows, n, y);
    return OkStatus();
  });
}

// Opset 20: the maximum of booleans is "any", the minimum "all".
template <typename Op>
Status ReduceOrdered(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  if (context.input(0)->dtype() != DType::kBool) return Reduce<Op>(context);
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const Reduction reduction, ResolveReduction(context));
  ASSIGN_OR_RETURN(const Tensor moved, ReducedAxesLast(x, reduction.reduced));
  if (reduction.nothing) {
    context.SetOutput(0, x);
    return OkStatus();
  }
  const Shape shape = reduction.Output(x.shape());
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kBool, shape));
  const bool any = std::is_same_v<Op, MaxOp>;
  const int64_t rows = y->size(), n = rows == 0 ? 0 : x.size() / rows;
  const bool* from = moved.data<bool>();
  bool* to = y->mutable_data<bool>();
  for (int64_t row = 0; row < rows; ++row) {
    const bool* begin = from + row * n;
    to[row] = any ? std::find(begin, begin + n, true) != begin + n
                  : std::find(begin, begin + n, false) == begin + n;
  }
  return OkStatus();
}

// log(sum(exp(x))), shifted by the maximum to avoid overflow.
Status ReduceLogSumExp(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const Reduction reduction, ResolveReduction(context));
  if (reduction.nothing) {
    context.SetOutput(0, x);
    return OkStatus();
  }
  return VisitNumeric(x.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), reduction.Output(x.shape())));
    ASSIGN_OR_RETURN(const Tensor moved, ReducedAxesLast(x, reduction.reduced));
    const int64_t rows = y->size(), n = rows == 0 ? 0 : x.size() / rows;
    const T* from = moved.data<T>();
    T* to = y->mutable_data<T>();
    for (int64_t row = 0; row < rows; ++row) {
      double largest = -std::numeric_limits<double>::infinity(), sum = 0;
      const auto value = [&](int64_t i) {
        return static_cast<double>(static_cast<Wide<T>>(from[row * n + i]));
      };
      for (int64_t i = 0; i < n; ++i) largest = std::max(largest, value(i));
      const double shift = std::isfinite(largest) ? largest : 0;
      for (int64_t i = 0; i < n; ++i) sum += std::exp(value(i) - shift);
      to[row] = ConvertTo<T>(std::log(sum) + shift);
    }
    return OkStatus();
  });
}

// ---- ArgMax, ArgMin

struct Larger {
  template <typename T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct Smaller {
  template <typename T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};

template <typename Better>
Status ArgBest(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", 0), x.rank()));
  const bool select_last = context.node().Int("select_last_index", 0) != 0;
  Shape shape = x.shape();
  if (context.node().Int("keepdims", 1) != 0)
    shape[axis] = 1;
  else
    shape.erase(shape.begin() + axis);
  const int64_t n = x.dim(axis), step = Product(x.shape(), axis + 1, x.rank());
  return VisitNumeric(x.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kInt64, shape));
    if (n == 0 && y->size() > 0)
      return ModelError(StrCat("axis ", axis, " of ", ShapeString(x.shape()), " is empty"));
    const T* from = x.data<T>();
    int64_t* to = y->mutable_data<int64_t>();
    for (int64_t line = 0; line < y->size(); ++line) {
      const T* data = from + line / step * n * step + line % step;
      int64_t best = 0;
      for (int64_t i = 1; i < n; ++i) {
        const Wide<T> value = data[i * step], leader = data[best * step];
        if (Better{}(value, leader) || (select_last && value == leader)) best = i;
      }
      to[line] = best;
    }
    return OkStatus();
  });
}

}  // namespace

std::vector<OpEntry> ReduceRows() {
  return {
      {"ArgMax", "", 1, kLatest, &ArgBest<Larger>},
      {"ArgMin", "", 1, kLatest, &ArgBest<Smaller>},
      {"ReduceL1", "", 1, kLatest, &Reduce<L1Op>},
      {"ReduceL2", "", 1, kLatest, &Reduce<L2Op>},
      {"ReduceLogSum", "", 1, kLatest, &Reduce<LogSumOp>},
      {"ReduceLogSumExp", "", 1, kLatest, &ReduceLogSumExp},
      {"ReduceMax", "", 1, kLatest, &ReduceOrdered<MaxOp>},
      {"ReduceMean", "", 1, kLatest, &Reduce<MeanOp>},
      {"ReduceMin", "", 1, kLatest, &ReduceOrdered<MinOp>},
      {"ReduceProd", "", 1, kLatest, &Reduce<ProdOp>},
      {"ReduceSum", "", 1, kLatest, &Reduce<SumOp>},
      {"ReduceSumSquare", "", 1, kLatest, &Reduce<SumSquareOp>},
  };
}

}  // namespace roundel::engine
