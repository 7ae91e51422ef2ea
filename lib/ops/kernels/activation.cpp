// Activation functions with parameters, and Clip.
#pragma GCC optimize("O3", "no-trapping-math")

#include <algorithm>
#include <cmath>
#include <optional>

#include "lib/ops/kernels/elementwise_unary.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/vector_math.h"

namespace roundel::engine {
namespace {

float Erf(float x) { return ErfFloat(x); }
double Erf(double x) { return std::erf(x); }
float Tanh(float x) { return TanhFloat(x); }
double Tanh(double x) { return std::tanh(x); }
float Logistic(float x) { return LogisticFloat(x); }
// exp is called only for negative numbers, so that it does not overflow.
double Logistic(double x) {
  const double e = std::exp(-std::fabs(x));
  return (x >= 0 ? 1.0 : e) / (1.0 + e);
}

Status Celu(OpContext& context) {
  return MapFloats(context, [a = context.node().Float("alpha", 1)](auto x) {
    using T = decltype(x);
    return std::max(x, T{0}) + std::min(T{a} * std::expm1(x / T{a}), T{0});
  });
}

Status Elu(OpContext& context) {
  return MapFloats(context, [a = context.node().Float("alpha", 1)](auto x) {
    using T = decltype(x);
    return x < T{0} ? T{a} * std::expm1(x) : x;
  });
}

Status Gelu(OpContext& context) {
  const bool approximate = context.node().String("approximate", "none") == "tanh";
  return MapFloats(context, [approximate](auto x) {
    using T = decltype(x);
    constexpr T kSqrt2OverPi = T(0.79788456080286535588), kSqrtHalf = T(0.70710678118654752440);
    if (approximate)
      return T(0.5) * x * (T{1} + Tanh(kSqrt2OverPi * (x + T(0.044715) * x * x * x)));
    return T(0.5) * x * (T{1} + Erf(x * kSqrtHalf));
  });
}

Status HardSigmoid(OpContext& context) {
  const float a = context.node().Float("alpha", 0.2f), b = context.node().Float("beta", 0.5f);
  return MapFloats(context, [a, b](auto x) {
    using T = decltype(x);
    return std::max(std::min(T{a} * x + T{b}, T{1}), T{0});
  });
}

Status HardSwish(OpContext& context) {
  return MapFloats(context, [](auto x) {
    using T = decltype(x);
    return x * std::max(T{0}, std::min(T{1}, x / T{6} + T(0.5)));
  });
}

Status LeakyRelu(OpContext& context) {
  return MapFloats(context, [a = context.node().Float("alpha", 0.01f)](auto x) {
    using T = decltype(x);
    return x < T{0} ? T{a} * x : x;
  });
}

Status Mish(OpContext& context) {
  return MapFloats(context, [](auto x) {
    using T = decltype(x);
    return x * std::tanh(std::max(x, T{0}) + std::log1p(std::exp(-std::fabs(x))));
  });
}

Status Selu(OpContext& context) {
  const float a = context.node().Float("alpha", 1.67326319217681884765625f);
  const float g = context.node().Float("gamma", 1.05070102214813232421875f);
  return MapFloats(context, [a, g](auto x) {
    using T = decltype(x);
    return T{g} * (x > T{0} ? x : T{a} * std::expm1(x));
  });
}

Status Shrink(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const float bias = context.node().Float("bias", 0), lambd = context.node().Float("lambd", 0.5f);
  return VisitNumeric(context.input(0)->dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    return MapElements<T, T>(context, [=](auto x) -> Wide<T> {
      const auto v = static_cast<double>(x);
      if (v < -lambd) return ConvertTo<Wide<T>>(v + bias);
      if (v > lambd) return ConvertTo<Wide<T>>(v - bias);
      return Wide<T>{0};
    });
  });
}

Status Sigmoid(OpContext& context) {
  return MapFloats(context, [](auto x) { return Logistic(x); });
}

Status Softplus(OpContext& context) {
  return MapFloats(context, [](auto x) {
    using T = decltype(x);
    return std::max(x, T{0}) + std::log1p(std::exp(-std::fabs(x)));
  });
}

Status Softsign(OpContext& context) {
  return MapFloats(context, [](auto x) { return x / (decltype(x){1} + std::fabs(x)); });
}

Status Swish(OpContext& context) {
  return MapFloats(context, [a = context.node().Float("alpha", 1)](auto x) {
    using T = decltype(x);
    return x * Logistic(T{a} * x);
  });
}

Status ThresholdedRelu(OpContext& context) {
  return MapFloats(context, [a = context.node().Float("alpha", 1)](auto x) {
    using T = decltype(x);
    return x > T{a} ? x : T{0};
  });
}

// ---- Clip

// A bound of Clip: an attribute below opset 11, an optional scalar input of x's type since then.
template <typename T>
Result<std::optional<T>> Bound(const OpContext& context, size_t input, const char* attribute) {
  if (context.opset() < 11) {
    if (!context.node().FindAttribute(attribute)) return std::optional<T>();
    return std::optional<T>(ConvertTo<T>(context.node().Float(attribute, 0)));
  }
  const Tensor* bound = context.input(input);
  if (bound == nullptr) return std::optional<T>();
  if (bound->dtype() != DTypeOf<T>::value || bound->size() != 1)
    return ModelError(StrCat("the ", attribute, " of Clip is ", DTypeName(bound->dtype()),
                             ShapeString(bound->shape()), ", a scalar of type ",
                             DTypeName(DTypeOf<T>::value), " is needed"));
  return std::optional<T>(bound->data<T>()[0]);
}

// Clip(x) = min(max(x, low), high). If low > high, the result is high, as the specification says.
template <typename T>
Status ClipTyped(OpContext& context) {
  using W = Wide<T>;
  ASSIGN_OR_RETURN(const std::optional<T> low, Bound<T>(context, 1, "min"));
  ASSIGN_OR_RETURN(const std::optional<T> high, Bound<T>(context, 2, "max"));
  if (low && high) {
    return MapElements<T, T>(context, [l = W(*low), h = W(*high)](W x) {
      const W raised = x < l ? l : x;
      return raised > h ? h : raised;
    });
  }
  if (low) return MapElements<T, T>(context, [l = W(*low)](W x) { return x < l ? l : x; });
  if (high) return MapElements<T, T>(context, [h = W(*high)](W x) { return x > h ? h : x; });
  context.SetOutput(0, *context.input(0));
  return OkStatus();
}

Status Clip(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  return VisitNumeric(context.input(0)->dtype(),
                      [&](auto tag) { return ClipTyped<typename decltype(tag)::Type>(context); });
}

}  // namespace

std::vector<OpEntry> ActivationRows() {
  return {
      {"Celu", "", 12, kLatest, &Celu},
      {"Clip", "", 1, kLatest, &Clip},
      {"Elu", "", 1, kLatest, &Elu},
      {"Gelu", "", 20, kLatest, &Gelu},
      {"Gelu", "com.microsoft", 1, kLatest, &Gelu},
      {"HardSigmoid", "", 1, kLatest, &HardSigmoid},
      {"HardSwish", "", 14, kLatest, &HardSwish},
      {"LeakyRelu", "", 1, kLatest, &LeakyRelu},
      {"Mish", "", 18, kLatest, &Mish},
      {"Selu", "", 1, kLatest, &Selu},
      {"Shrink", "", 9, kLatest, &Shrink},
      {"Sigmoid", "", 1, kLatest, &Sigmoid},
      {"Softplus", "", 1, kLatest, &Softplus},
      {"Softsign", "", 1, kLatest, &Softsign},
      {"Swish", "", 24, kLatest, &Swish},
      {"ThresholdedRelu", "", 1, kLatest, &ThresholdedRelu},
  };
}

}  // namespace roundel::engine
