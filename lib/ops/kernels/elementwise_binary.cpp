// Arithmetic with broadcasting: Add, Sub, Mul, Div, Mod, Pow, PRelu, and the variadic Max, Min,
// Sum, Mean.
#pragma GCC optimize("O3")

#include "lib/ops/kernels/elementwise_binary.h"

#include <algorithm>
#include <cmath>

#include "lib/ops/kernels/kernels.h"

namespace roundel::engine {
namespace {

// Integers wrap around as in numpy; arithmetic in uint64 avoids signed overflow.
#define ROUNDEL_WRAPPING(name, sign)                                                   \
  struct name {                                                                        \
    template <typename T>                                                              \
    T operator()(T a, T b) const {                                                     \
      if constexpr (std::is_integral_v<T>)                                             \
        return static_cast<T>(static_cast<uint64_t>(a) sign static_cast<uint64_t>(b)); \
      else                                                                             \
        return a sign b;                                                               \
    }                                                                                  \
  }
ROUNDEL_WRAPPING(Add, +);
ROUNDEL_WRAPPING(Sub, -);
ROUNDEL_WRAPPING(Mul, *);
#undef ROUNDEL_WRAPPING

// Integer division truncates; the divisor is not zero (checked before). -1 is a separate case
// because min / -1 overflows.
struct Div {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T> && std::is_signed_v<T>)
      if (b == T{-1}) return static_cast<T>(uint64_t{0} - static_cast<uint64_t>(a));
    return static_cast<T>(a / b);
  }
};

// Sign of the divisor, as numpy.mod.
struct FloorMod {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if constexpr (std::is_signed_v<T>)
        if (b == T{-1}) return 0;
      const T r = static_cast<T>(a % b);
      return r != 0 && (r < 0) != (b < 0) ? static_cast<T>(r + b) : r;
    } else {
      const T r = std::fmod(a, b);
      return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
  }
};
// Sign of the dividend, as C's fmod.
struct TruncatedMod {
  template <typename T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if constexpr (std::is_signed_v<T>)
        if (b == T{-1}) return 0;
      return static_cast<T>(a % b);
    } else {
      return std::fmod(a, b);
    }
  }
};

struct PReluOp {
  template <typename T>
  T operator()(T x, T slope) const {
    if constexpr (std::is_integral_v<T>)
      return x < 0 ? static_cast<T>(static_cast<uint64_t>(x) * static_cast<uint64_t>(slope)) : x;
    else
      return x < 0 ? x * slope : x;
  }
};

// If an operand is NaN, the result is NaN, as in numpy.
struct MaxOp {
  template <typename T>
  T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};
struct MinOp {
  template <typename T>
  T operator()(T a, T b) const {
    return a < b || a != a ? a : b;
  }
};

template <typename Op>
Status Arithmetic(OpContext& context) {
  RETURN_IF_ERROR(CheckOperands(context));
  return VisitNumeric(context.input(0)->dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    return MapPairs<T, T>(context, Op{});
  });
}

// Integer Div and Mod by zero are errors.
template <typename Op>
Status Division(OpContext& context) {
  RETURN_IF_ERROR(CheckOperands(context));
  return VisitNumeric(context.input(0)->dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    if constexpr (std::is_integral_v<T>) {
      for (T divisor : context.input(1)->span<T>())
        if (divisor == 0) return ModelError("division by zero in an integer tensor");
    }
    return MapPairs<T, T>(context, Op{});
  });
}

Status Mod(OpContext& context) {
  return context.node().Int("fmod", 0) != 0 ? Division<TruncatedMod>(context)
                                            : Division<FloorMod>(context);
}

// The slope broadcasts to x, not x to the slope (unidirectional).
Status PRelu(OpContext& context) {
  RETURN_IF_ERROR(CheckOperands(context));
  const Shape &x = context.input(0)->shape(), &slope = context.input(1)->shape();
  // Opset 6: a vector of slopes belongs to the channels, axis 1.
  Shape aligned = slope;
  if (context.opset() < 7 && slope.size() == 1 && x.size() > 2) aligned.resize(x.size() - 1, 1);
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({x, aligned}));
  if (plan.shape != x)
    return ModelError(
        StrCat("slope of shape ", ShapeString(slope), " does not fit x ", ShapeString(x)));
  return VisitNumeric(context.input(0)->dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DTypeOf<T>::value, x));
    const T *from = context.input(0)->data<T>(), *slopes = context.input(1)->data<T>();
    T* out = y->mutable_data<T>();
    ForEachRun(plan, [&](int64_t at, const int64_t* in, int64_t n) {
      BinaryRun(from + in[0], plan.step(0), slopes + in[1], plan.step(1), out + at, n, PReluOp{});
    });
    return OkStatus();
  });
}

// ---- Pow: the exponent may have another type; the result has the type of the base

// base^exponent; an integer base with an integer exponent >= 0 is exact (and wraps).
template <typename T, typename E>
T Power(T base, E exponent) {
  if constexpr (std::is_integral_v<T> && std::is_integral_v<E>) {
    if (exponent >= 0) {
      uint64_t result = 1, factor = static_cast<uint64_t>(base);
      for (auto left = static_cast<uint64_t>(exponent); left != 0; left >>= 1) {
        if (left & 1) result *= factor;
        factor *= factor;
      }
      return static_cast<T>(result);
    }
  }
  if constexpr (std::is_same_v<T, float> && std::is_same_v<E, float>) {
    // The common case in decomposed normalizations; correctly rounded, and much faster.
    return exponent == 2.0f ? base * base : std::pow(base, exponent);
  } else {
    return ConvertTo<T>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
}

template <typename T, typename E>
Status PowTyped(OpContext& context, const Tensor& exponent) {
  const Tensor& base = *context.input(0);
  ASSIGN_OR_RETURN(const Shape shape,
                   LegacyBroadcastShape(context, base.shape(), exponent.shape()));
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({base.shape(), shape}));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DTypeOf<T>::value, plan.shape));
  const T* bases = base.data<T>();
  const E* exponents = exponent.data<E>();
  T* out = y->mutable_data<T>();
  ForEachRun(plan, [&](int64_t at, const int64_t* in, int64_t n) {
    for (int64_t i = 0; i < n; ++i)
      out[at + i] =
          T(Power(Wide<T>(bases[in[0] + i * plan.step(0)]), exponents[in[1] + i * plan.step(1)]));
  });
  return OkStatus();
}

Status Pow(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor& exponent = *context.input(1);
  return VisitNumeric(context.input(0)->dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    if (exponent.dtype() == DType::kDouble) return PowTyped<T, double>(context, exponent);
    if (IsFloating(exponent.dtype()) && BitWidth(exponent.dtype()) >= 16)
      return PowTyped<T, float>(context, exponent.ToFloat());
    ASSIGN_OR_RETURN(const std::vector<int64_t> values, IntegerInput(context, 1));
    return PowTyped<T, int64_t>(context, Tensor::FromVector(exponent.shape(), values));
  });
}

// ---- variadic: a fold from left to right

template <typename T, typename Op>
Result<Tensor> FoldInputs(const OpContext& context, const Op& op) {
  Tensor total = *context.input(0);
  for (size_t k = 1; k < context.input_count(); ++k) {
    const Tensor& next = *context.input(k);
    ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({total.shape(), next.shape()}));
    RETURN_IF_ERROR(CheckSize(total.dtype(), plan.shape));
    Tensor result = Tensor::Empty(total.dtype(), plan.shape);
    const T *a = total.data<T>(), *b = next.data<T>();
    T* out = result.mutable_data<T>();
    ForEachRun(plan, [&](int64_t at, const int64_t* in, int64_t n) {
      BinaryRun(a + in[0], plan.step(0), b + in[1], plan.step(1), out + at, n, op);
    });
    total = std::move(result);
  }
  return total;
}

Status CheckVariadic(const OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, std::max<size_t>(1, context.input_count())));
  for (size_t k = 1; k < context.input_count(); ++k)
    if (context.input(k)->dtype() != context.input(0)->dtype())
      return ModelError(StrCat("operands of different types ", DTypeName(context.input(0)->dtype()),
                               " and ", DTypeName(context.input(k)->dtype())));
  return OkStatus();
}

template <typename Op>
Status Variadic(OpContext& context) {
  RETURN_IF_ERROR(CheckVariadic(context));
  return VisitNumeric(context.input(0)->dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor total, FoldInputs<T>(context, Op{}));
    context.SetOutput(0, std::move(total));
    return OkStatus();
  });
}

Status Mean(OpContext& context) {
  RETURN_IF_ERROR(CheckVariadic(context));
  return VisitFloat(context.input(0)->dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor total, FoldInputs<T>(context, Add{}));
    T* values = total.mutable_data<T>();
    const auto count = static_cast<Wide<T>>(context.input_count());
    for (int64_t i = 0; i < total.size(); ++i) values[i] = T(Wide<T>(values[i]) / count);
    context.SetOutput(0, std::move(total));
    return OkStatus();
  });
}

}  // namespace

std::vector<OpEntry> BinaryRows() {
  return {
      {"Add", "", 1, kLatest, &Arithmetic<Add>},
      {"Div", "", 1, kLatest, &Division<Div>},
      {"Max", "", 1, kLatest, &Variadic<MaxOp>},
      {"Mean", "", 1, kLatest, &Mean},
      {"Min", "", 1, kLatest, &Variadic<MinOp>},
      {"Mod", "", 10, kLatest, &Mod},
      {"Mul", "", 1, kLatest, &Arithmetic<Mul>},
      {"PRelu", "", 1, kLatest, &PRelu},
      {"Pow", "", 1, kLatest, &Pow},
      {"Sub", "", 1, kLatest, &Arithmetic<Sub>},
      {"Sum", "", 1, kLatest, &Variadic<Add>},
  };
}

}  // namespace roundel::engine
