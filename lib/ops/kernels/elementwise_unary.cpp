// The loops below need full vectorization (see vector_math.h).
#pragma GCC optimize("O3", "no-trapping-math")

#include "lib/ops/kernels/elementwise_unary.h"

#include <cmath>

#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/small_types.h"
#include "lib/ops/kernels/vector_math.h"

namespace roundel::engine {
namespace {

// ---- functions of one value, for float and double

struct Acos {
  template <typename T>
  T operator()(T x) const {
    return std::acos(x);
  }
};
struct Acosh {
  template <typename T>
  T operator()(T x) const {
    return std::acosh(x);
  }
};
struct Asin {
  template <typename T>
  T operator()(T x) const {
    return std::asin(x);
  }
};
struct Asinh {
  template <typename T>
  T operator()(T x) const {
    return std::asinh(x);
  }
};
struct Atan {
  template <typename T>
  T operator()(T x) const {
    return std::atan(x);
  }
};
struct Atanh {
  template <typename T>
  T operator()(T x) const {
    return std::atanh(x);
  }
};
struct Ceil {
  template <typename T>
  T operator()(T x) const {
    return std::ceil(x);
  }
};
struct Cos {
  template <typename T>
  T operator()(T x) const {
    return std::cos(x);
  }
};
struct Cosh {
  template <typename T>
  T operator()(T x) const {
    return std::cosh(x);
  }
};
struct Erf {
  float operator()(float x) const { return ErfFloat(x); }
  double operator()(double x) const { return std::erf(x); }
};
struct Exp {
  float operator()(float x) const { return ExpFloat(x); }
  double operator()(double x) const { return std::exp(x); }
};
struct Floor {
  template <typename T>
  T operator()(T x) const {
    return std::floor(x);
  }
};
struct Log {
  template <typename T>
  T operator()(T x) const {
    return std::log(x);
  }
};
struct Reciprocal {
  template <typename T>
  T operator()(T x) const {
    return T{1} / x;
  }
};
struct Round {
  template <typename T>
  T operator()(T x) const {
    return std::nearbyint(x);
  }
};
struct Sin {
  template <typename T>
  T operator()(T x) const {
    return std::sin(x);
  }
};
struct Sinh {
  template <typename T>
  T operator()(T x) const {
    return std::sinh(x);
  }
};
struct Sqrt {
  template <typename T>
  T operator()(T x) const {
    return std::sqrt(x);
  }
};
struct Tan {
  template <typename T>
  T operator()(T x) const {
    return std::tan(x);
  }
};
struct Tanh {
  float operator()(float x) const { return TanhFloat(x); }
  double operator()(double x) const { return std::tanh(x); }
};

template <typename Op>
Status FloatKernel(OpContext& context) {
  return MapFloats(context, Op{});
}

// ---- functions that are also defined for integers

struct Abs {
  template <typename T>
  T operator()(T x) const {
    if constexpr (std::is_unsigned_v<T>)
      return x;
    else if constexpr (std::is_integral_v<T>)
      return x < 0 ? static_cast<T>(uint64_t{0} - x) : x;
    else
      return std::fabs(x);
  }
};
struct Neg {
  template <typename T>
  T operator()(T x) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(uint64_t{0} - x);  // wraps
    else
      return -x;
  }
};
struct Sign {
  template <typename T>
  T operator()(T x) const {
    if constexpr (std::is_floating_point_v<T>)
      if (x != x) return x;
    return static_cast<T>((x > T{0}) - (x < T{0}));
  }
};
// A comparison with NaN is false, so that Relu returns NaN, as other operators do.
struct Relu {
  template <typename T>
  T operator()(T x) const {
    return x < T{0} ? T{0} : x;
  }
};

template <typename Op>
Status NumericKernel(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  return VisitNumeric(context.input(0)->dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    return MapElements<T, T>(context, Op{});
  });
}

// ---- tests and bits

// output 0 = test(x) for floating x of any width.
template <typename Test>
Status TestFloats(OpContext& context, const Test& test) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  if (!IsFloating(x.dtype()) || !IsSmallType(x.dtype())) {
    return VisitFloat(x.dtype(), [&](auto tag) {
      return MapElements<typename decltype(tag)::Type, bool>(context, test);
    });
  }
  const Tensor values = x.ToFloat();  // exact, with infinities and NaN
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kBool, x.shape()));
  for (int64_t i = 0; i < values.size(); ++i)
    y->mutable_data<bool>()[i] = test(values.data<float>()[i]);
  return OkStatus();
}

Status IsNanKernel(OpContext& context) {
  return TestFloats(context, [](auto x) { return x != x; });
}

Status IsInfKernel(OpContext& context) {
  const bool positive = context.node().Int("detect_positive", 1) != 0;
  const bool negative = context.node().Int("detect_negative", 1) != 0;
  return TestFloats(context,
                    [=](auto x) { return std::isinf(x) && (x > 0 ? positive : negative); });
}

Status NotKernel(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  if (context.input(0)->dtype() != DType::kBool) return UnsupportedType(context.input(0)->dtype());
  return MapElements<bool, bool>(context, [](bool x) { return !x; });
}

Status BitwiseNotKernel(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  return VisitInteger(context.input(0)->dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    return MapElements<T, T>(context, [](T x) { return static_cast<T>(~x); });
  });
}

}  // namespace

std::vector<OpEntry> UnaryRows() {
  return {
      {"Abs", "", 1, kLatest, &NumericKernel<Abs>},
      {"Acos", "", 7, kLatest, &FloatKernel<Acos>},
      {"Acosh", "", 9, kLatest, &FloatKernel<Acosh>},
      {"Asin", "", 7, kLatest, &FloatKernel<Asin>},
      {"Asinh", "", 9, kLatest, &FloatKernel<Asinh>},
      {"Atan", "", 7, kLatest, &FloatKernel<Atan>},
      {"Atanh", "", 9, kLatest, &FloatKernel<Atanh>},
      {"BitwiseNot", "", 18, kLatest, &BitwiseNotKernel},
      {"Ceil", "", 1, kLatest, &FloatKernel<Ceil>},
      {"Cos", "", 7, kLatest, &FloatKernel<Cos>},
      {"Cosh", "", 9, kLatest, &FloatKernel<Cosh>},
      {"Erf", "", 9, kLatest, &FloatKernel<Erf>},
      {"Exp", "", 1, kLatest, &FloatKernel<Exp>},
      {"Floor", "", 1, kLatest, &FloatKernel<Floor>},
      {"IsInf", "", 10, kLatest, &IsInfKernel},
      {"IsNaN", "", 9, kLatest, &IsNanKernel},
      {"Log", "", 1, kLatest, &FloatKernel<Log>},
      {"Neg", "", 1, kLatest, &NumericKernel<Neg>},
      {"Not", "", 1, kLatest, &NotKernel},
      {"Reciprocal", "", 1, kLatest, &FloatKernel<Reciprocal>},
      {"Relu", "", 1, kLatest, &NumericKernel<Relu>},
      {"Round", "", 11, kLatest, &FloatKernel<Round>},
      {"Sign", "", 9, kLatest, &NumericKernel<Sign>},
      {"Sin", "", 7, kLatest, &FloatKernel<Sin>},
      {"Sinh", "", 9, kLatest, &FloatKernel<Sinh>},
      {"Sqrt", "", 1, kLatest, &FloatKernel<Sqrt>},
      {"Tan", "", 7, kLatest, &FloatKernel<Tan>},
      {"Tanh", "", 1, kLatest, &FloatKernel<Tanh>},
  };
}

}  // namespace roundel::engine
