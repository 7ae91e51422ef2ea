// Gradients of LayerNormalization and RMSNormalization with one scale per element of a row.
//
//   xh = (x - mean) * r    g = dY * gamma    dX = r * (g - mean(g) - xh * mean(g * xh))
//   dGamma = sum of dY * xh    dBeta = sum of dY
//
// with r = 1 / sqrt(variance + epsilon); not centered: without the means of x and g. Sums in double.
#pragma GCC optimize("O3")

#include <cmath>

#include "lib/base/vectorize.h"
#include "lib/fast/loops/kernels.h"

namespace roundel::engine {
namespace {

constexpr int64_t kVectorLanes = 16;

inline double Total(const double* lanes) {
  double total = 0;
  for (int64_t k = 0; k < kVectorLanes; ++k) total += lanes[k];
  return total;
}

// The sum of (x - center)^power, power 1 or 2.
template <int power>
inline __attribute__((always_inline)) double Moment(const float* x, int64_t n, double center) {
  double lanes[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes)
    for (int64_t k = 0; k < kVectorLanes; ++k) {
      const double d = static_cast<double>(x[i + k]) - center;
      lanes[k] += power == 1 ? d : d * d;
    }
  for (; i < n; ++i) {
    const double d = static_cast<double>(x[i]) - center;
    lanes[0] += power == 1 ? d : d * d;
  }
  return Total(lanes);
}

// Mean of x and r.
struct Scale {
  double mean, r;
};
ROUNDEL_VECTORIZE Scale ScaleOf(const float* x, int64_t n, bool centered, double epsilon) {
  const double count = static_cast<double>(n);
  const double mean = centered ? Moment<1>(x, n, 0) / count : 0;
  return {mean, 1 / std::sqrt(Moment<2>(x, n, mean) / count + epsilon)};
}

// Adds to the parameters' gradients; the means of g and of g * xh.
struct Means {
  double g, gx;
};
ROUNDEL_VECTORIZE Means AddParameters(const float* dy, const float* x, const float* gamma,
                                      int64_t n, Scale s, double* dgamma, double* dbeta) {
  double g_lanes[kVectorLanes] = {}, gx_lanes[kVectorLanes] = {};
  const auto add = [&](int64_t i, int64_t k) __attribute__((always_inline)) {
    const double d = dy[i], xh = (static_cast<double>(x[i]) - s.mean) * s.r;
    const double g = d * static_cast<double>(gamma[i]);
    dgamma[i] += d * xh;
    dbeta[i] += d;
    g_lanes[k] += g;
    gx_lanes[k] += g * xh;
  };
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes)
    for (int64_t k = 0; k < kVectorLanes; ++k) add(i + k, k);
  for (; i < n; ++i) add(i, 0);
  const double count = static_cast<double>(n);
  return {Total(g_lanes) / count, Total(gx_lanes) / count};
}

ROUNDEL_VECTORIZE void StoreRow(const float* dy, const float* x, const float* gamma, int64_t n,
                                Scale s, Means means, float* dx) {
  const auto mean = static_cast<float>(s.mean), r = static_cast<float>(s.r);
  const auto a = static_cast<float>(means.g), b = static_cast<float>(means.gx);
  for (int64_t i = 0; i < n; ++i) {
    const float xh = (x[i] - mean) * r;
    dx[i] = r * (dy[i] * gamma[i] - a - xh * b);
  }
}

// dY, X, gamma (, beta: its shape) -> dX, dGamma, dBeta
class NormGradient : public FastKernel {
 public:
  explicit NormGradient(const graph::Node& node)
      : centered_(node.op_type == "LayerNormGrad"),
        axis_(node.Int("axis", -1)),
        epsilon_(node.Float("epsilon", 1e-5f)),
        results_(node.outputs.size()) {}

  bool Run(FastContext& context) override {
    for (size_t i = 0; i < 3; ++i)
      if (!context.input(i) || context.input(i)->dtype() != DType::kFloat) return false;
    const Shape shape = context.input(1)->shape, parameters = context.input(2)->shape;
    const auto rank = static_cast<int64_t>(shape.size());
    const int64_t axis = axis_ < 0 ? axis_ + rank : axis_;
    if (context.input(0)->shape != shape || axis < 0 || axis >= rank || !BetaFits(context))
      return false;
    const int64_t n = NumElements(Shape(shape.begin() + axis, shape.end()));
    if (n == 0 || NumElements(parameters) != n) return false;
    const float *dy = context.Data(0, Layout::kPlain), *x = context.Data(1, Layout::kPlain),
                *gamma = context.Data(2, Layout::kPlain);
    float* dx = dy && x && gamma ? context.Output(shape, Layout::kPlain) : nullptr;
    if (!dx) return false;
    std::vector<double> dgamma(static_cast<size_t>(n)), dbeta(dgamma.size());
    for (int64_t row = 0; row < NumElements(shape); row += n) {
      const Scale s = ScaleOf(x + row, n, centered_, epsilon_);
      Means m = AddParameters(dy + row, x + row, gamma, n, s, dgamma.data(), dbeta.data());
      if (!centered_) m.g = 0;
      StoreRow(dy + row, x + row, gamma, n, s, m, dx + row);
    }
    if (results_ > 1 && !Store(context, 1, parameters, dgamma)) return false;
    return results_ < 3 || Store(context, 2, context.input(3)->shape, dbeta);
  }

 private:
  bool BetaFits(const FastContext& context) const {
    if (results_ < 3) return true;
    const Value* beta = context.input(3);
    return beta && beta->shape == context.input(2)->shape;
  }
  static bool Store(FastContext& context, size_t i, const Shape& shape,
                    const std::vector<double>& sums) {
    auto* to = static_cast<float*>(context.OutputOf(i, DType::kFloat, shape, Layout::kPlain));
    if (!to) return false;
    for (size_t k = 0; k < sums.size(); ++k) to[k] = static_cast<float>(sums[k]);
    return true;
  }

  const bool centered_;
  const int64_t axis_;
  const double epsilon_;
  const size_t results_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeNormGradient(const KernelSpec& spec) {
  return std::make_unique<NormGradient>(*spec.main);
}

}  // namespace roundel::engine
