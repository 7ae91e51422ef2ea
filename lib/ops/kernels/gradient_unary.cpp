// Gradients of functions of one number, dX = dY * f'(x), as operators NameGrad(dY, V), where V is the
// input x, or the result y = f(x) for functions whose derivative follows from it: Relu, Sigmoid, Tanh,
// Exp, Sqrt, Reciprocal. Then the forward node's input need not be kept.
//
// At kinks: Abs has 0 at 0; Relu, LeakyRelu, ThresholdedRelu, Elu, Selu and Celu have the value from
// the left, HardSigmoid and HardSwish that of their constant or linear ends.
#pragma GCC optimize("O3", "no-trapping-math")

#include <cmath>
#include <limits>

#include "lib/base/vectorize.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/vector_math.h"

namespace roundel::engine {
namespace {

// Calls rows(dY, V, n, dX) on chunks of the elements.
template <typename Rows>
Status MapRows(OpContext& context, const Rows& rows) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1}));
  const Tensor &dy = *context.input(0), &v = *context.input(1);
  RETURN_IF_ERROR(RequireShape(context, 0, v.shape()));
  ASSIGN_OR_RETURN(Tensor * dx, NewOutput(context, 0, DType::kFloat, v.shape()));
  const float *d = dy.data<float>(), *from = v.data<float>();
  float* to = dx->mutable_data<float>();
  ParallelFor(v.size(), kGrain, [&](int64_t begin, int64_t end) {
    rows(d + begin, from + begin, end - begin, to + begin);
  });
  return OkStatus();
}

// dX[i] = dY[i] * slope(V[i]); 0 where the slope is 0, also for infinite dY.
template <typename Slope>
Status MapSlope(OpContext& context, const Slope& slope) {
  return MapRows(context, [&](const float* d, const float* from, int64_t n, float* to) {
    for (int64_t i = 0; i < n; ++i) {
      const float s = slope(from[i]);
      const float product = d[i] * s;
      to[i] = s == 0.0f ? 0.0f : product;
    }
  });
}

// dX[i] = dY[i] where low <= V[i] <= high, else 0.
ROUNDEL_VECTORIZE
void PassInside(const float* dy, const float* v, int64_t n, float low, float high, float* dx) {
  for (int64_t i = 0; i < n; ++i) {
    const bool inside = (v[i] >= low) & (v[i] <= high);
    dx[i] = inside ? dy[i] : 0.0f;
  }
}

// The gradient of functions that are constant outside of the bounds, and have derivative 1 inside.
Status Bounded(OpContext& context, float low, float high) {
  return MapRows(context, [&](const float* d, const float* from, int64_t n, float* to) {
    PassInside(d, from, n, low, high, to);
  });
}

// A kernel from a slope without parameters.
template <auto slope>
Status Map(OpContext& context) {
  return MapSlope(context, [](float v) { return slope(v); });
}
// A slope in double, for functions that are rare.
template <auto slope>
Status MapDouble(OpContext& context) {
  return MapSlope(context,
                  [](float v) { return static_cast<float>(slope(static_cast<double>(v))); });
}

constexpr float kSqrtHalf = 0.70710678118654752f, kInvSqrt2Pi = 0.39894228040143268f;
constexpr float kSqrt2OverPi = 0.79788456080286536f, kTwoOverRootPi = 1.12837916709551257f;

// Functions of x.
constexpr auto kAbs = [](float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f; };
constexpr auto kErf = [](float x) { return kTwoOverRootPi * ExpFloat(-x * x); };
constexpr auto kGelu = [](float x) {
  return 0.5f * (1 + ErfFloat(x * kSqrtHalf)) + x * kInvSqrt2Pi * ExpFloat(-0.5f * x * x);
};
constexpr auto kGeluTanh = [](float x) {
  const float t = TanhFloat(kSqrt2OverPi * (x + 0.044715f * x * x * x));
  return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * kSqrt2OverPi * (1 + 3 * 0.044715f * x * x);
};
constexpr auto kHardSwish = [](float x) {
  const float inside = (2 * x + 3) / 6;
  return x <= -3.0f ? 0.0f : x >= 3.0f ? 1.0f : inside;
};
constexpr auto kSoftplus = [](float x) { return LogisticFloat(x); };
// Functions of the result.
constexpr auto kExp = [](float y) { return y; };
constexpr auto kReciprocal = [](float y) { return -y * y; };
constexpr auto kSigmoid = [](float y) { return y * (1 - y); };
constexpr auto kSqrt = [](float y) { return 0.5f / y; };
constexpr auto kTanh = [](float y) { return 1 - y * y; };
// Rare functions of x.
constexpr auto kAcos = [](double x) { return -1 / std::sqrt(1 - x * x); };
constexpr auto kAcosh = [](double x) { return 1 / std::sqrt(x * x - 1); };
constexpr auto kAsin = [](double x) { return 1 / std::sqrt(1 - x * x); };
constexpr auto kAsinh = [](double x) { return 1 / std::sqrt(x * x + 1); };
constexpr auto kAtan = [](double x) { return 1 / (1 + x * x); };
constexpr auto kAtanh = [](double x) { return 1 / (1 - x * x); };
constexpr auto kCos = [](double x) { return -std::sin(x); };
constexpr auto kCosh = [](double x) { return std::sinh(x); };
constexpr auto kLog = [](double x) { return 1 / x; };
constexpr auto kMish = [](double x) {
  const double t = std::tanh(std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))));
  return t + x * (1 - t * t) / (1 + std::exp(-x));
};
constexpr auto kSin = [](double x) { return std::cos(x); };
constexpr auto kSinh = [](double x) { return std::cosh(x); };
constexpr auto kSoftsign = [](double x) { return 1 / ((1 + std::fabs(x)) * (1 + std::fabs(x))); };
constexpr auto kTan = [](double x) { return 1 / (std::cos(x) * std::cos(x)); };

// ---- with parameters

Status Celu(OpContext& context) {
  return MapSlope(context, [a = context.node().Float("alpha", 1)](float x) {
    const float e = ExpFloat(x / a);
    return x > 0 ? 1.0f : e;
  });
}

Status Elu(OpContext& context) {
  return MapSlope(context, [a = context.node().Float("alpha", 1)](float x) {
    const float e = a * ExpFloat(x);
    return x > 0 ? 1.0f : e;
  });
}

Status Gelu(OpContext& context) {
  return context.node().String("approximate", "none") == "tanh" ? Map<kGeluTanh>(context)
                                                                : Map<kGelu>(context);
}

Status HardSigmoid(OpContext& context) {
  const float a = context.node().Float("alpha", 0.2f), b = context.node().Float("beta", 0.5f);
  return MapSlope(context, [a, b](float x) {
    const float y = a * x + b;
    return y > 0 && y < 1 ? a : 0.0f;
  });
}

Status LeakyRelu(OpContext& context) {
  return MapSlope(context,
                  [a = context.node().Float("alpha", 0.01f)](float x) { return x > 0 ? 1.0f : a; });
}

Status Selu(OpContext& context) {
  const float a = context.node().Float("alpha", 1.67326319217681884765625f);
  const float g = context.node().Float("gamma", 1.05070102214813232421875f);
  return MapSlope(context, [a, g](float x) {
    const float e = g * a * ExpFloat(x);
    return x > 0 ? g : e;
  });
}

Status Relu(OpContext& context) {
  return Bounded(context, std::numeric_limits<float>::denorm_min(), INFINITY);
}

// Also QuickGelu, whose default differs.
Status Swish(OpContext& context) {
  const bool quick = context.node().op_type == "QuickGeluGrad";
  return MapSlope(context, [a = context.node().Float("alpha", quick ? 1.702f : 1.0f)](float x) {
    const float s = LogisticFloat(a * x);
    return s + a * x * s * (1 - s);
  });
}

Status ThresholdedRelu(OpContext& context) {
  return MapSlope(context,
                  [a = context.node().Float("alpha", 1)](float x) { return x > a ? 1.0f : 0.0f; });
}

// ClipGrad(dY, X, min, max): the gradient passes where the value does, on the bounds too.
Status Clip(OpContext& context) {
  float bounds[2] = {-INFINITY, INFINITY};
  for (size_t k = 0; k < 2; ++k) {
    const char* name = k == 0 ? "min" : "max";
    if (context.node().FindAttribute(name)) bounds[k] = context.node().Float(name, 0);
    if (!context.input(k + 2)) continue;
    ASSIGN_OR_RETURN(bounds[k], FloatScalar(context, k + 2));
  }
  return Bounded(context, bounds[0], bounds[1]);
}

}  // namespace

std::vector<OpEntry> GradientUnaryRows() {
  const std::vector<std::pair<const char*, Kernel>> kernels = {
      {"AbsGrad", &Map<kAbs>},
      {"AcosGrad", &MapDouble<kAcos>},
      {"AcoshGrad", &MapDouble<kAcosh>},
      {"AsinGrad", &MapDouble<kAsin>},
      {"AsinhGrad", &MapDouble<kAsinh>},
      {"AtanGrad", &MapDouble<kAtan>},
      {"AtanhGrad", &MapDouble<kAtanh>},
      {"CeluGrad", &Celu},
      {"ClipGrad", &Clip},
      {"CosGrad", &MapDouble<kCos>},
      {"CoshGrad", &MapDouble<kCosh>},
      {"EluGrad", &Elu},
      {"ErfGrad", &Map<kErf>},
      {"ExpGrad", &Map<kExp>},
      {"FastGeluGrad", &Map<kGeluTanh>},
      {"GeluGrad", &Gelu},
      {"HardSigmoidGrad", &HardSigmoid},
      {"HardSwishGrad", &Map<kHardSwish>},
      {"LeakyReluGrad", &LeakyRelu},
      {"LogGrad", &MapDouble<kLog>},
      {"MishGrad", &MapDouble<kMish>},
      {"QuickGeluGrad", &Swish},
      {"ReciprocalGrad", &Map<kReciprocal>},
      {"ReluGrad", &Relu},
      {"SeluGrad", &Selu},
      {"SigmoidGrad", &Map<kSigmoid>},
      {"SinGrad", &MapDouble<kSin>},
      {"SinhGrad", &MapDouble<kSinh>},
      {"SoftplusGrad", &Map<kSoftplus>},
      {"SoftsignGrad", &MapDouble<kSoftsign>},
      {"SqrtGrad", &Map<kSqrt>},
      {"SwishGrad", &Swish},
      {"TanGrad", &MapDouble<kTan>},
      {"TanhGrad", &Map<kTanh>},
      {"ThresholdedReluGrad", &ThresholdedRelu},
  };
  std::vector<OpEntry> rows;
  for (const auto& [name, kernel] : kernels) rows.push_back({name, "roundel", 1, kLatest, kernel});
  return rows;
}

}  // namespace roundel::engine
