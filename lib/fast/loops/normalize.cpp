// Layer and RMS normalization over the last axis: LayerNormalization, or the equivalent chain of
// nodes.
#pragma GCC optimize("O3")

#include <cmath>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"
#include "lib/fast/loops/kernels.h"

namespace roundel::engine {
namespace {

// Eight partial sums, in a fixed order.
constexpr int64_t kVectorLanes = 8;

inline __attribute__((always_inline)) double Sum(const float* x, int64_t n) {
  double lanes[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes)
    for (int64_t l = 0; l < kVectorLanes; ++l) lanes[l] += static_cast<double>(x[i + l]);
  double sum = 0;
  for (; i < n; ++i) sum += static_cast<double>(x[i]);
  for (double lane : lanes) sum += lane;
  return sum;
}

inline __attribute__((always_inline)) double SumOfSquares(const float* x, int64_t n, float mean) {
  double lanes[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes)
    for (int64_t l = 0; l < kVectorLanes; ++l) {
      const double d = x[i + l] - mean;
      lanes[l] += d * d;
    }
  double sum = 0;
  for (; i < n; ++i) sum += static_cast<double>(x[i] - mean) * (x[i] - mean);
  for (double lane : lanes) sum += lane;
  return sum;
}

struct Settings {
  bool centered;
  float epsilon;
  const float *gamma, *beta;  // may be null
};

ROUNDEL_VECTORIZE void NormalizeRows(const Settings& s, const float* from, int64_t rows, int64_t n,
                                     float* to) {
  for (int64_t row = 0; row < rows; ++row, from += n, to += n) {
    const auto size = static_cast<double>(n);
    const float mean = s.centered ? static_cast<float>(Sum(from, n) / size) : 0;
    const double variance = SumOfSquares(from, n, mean) / size;
    const auto factor = static_cast<float>(1 / std::sqrt(variance + s.epsilon));
    if (s.gamma && s.beta)
      for (int64_t i = 0; i < n; ++i) to[i] = (from[i] - mean) * factor * s.gamma[i] + s.beta[i];
    else if (s.gamma)
      for (int64_t i = 0; i < n; ++i) to[i] = (from[i] - mean) * factor * s.gamma[i];
    else
      for (int64_t i = 0; i < n; ++i) to[i] = (from[i] - mean) * factor;
  }
}

class NormalizeKernel : public FastKernel {
 public:
  NormalizeKernel(bool centered, float epsilon, Tensor gamma, Tensor beta)
      : centered_(centered), epsilon_(epsilon), gamma_(std::move(gamma)), beta_(std::move(beta)) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || x->dtype() != DType::kFloat || x->shape.empty()) return false;
    const Shape shape = x->shape;
    const int64_t n = shape.back();
    for (const Tensor* vector : {&gamma_, &beta_})
      if (vector->defined() && vector->size() != n) return false;
    const float* from = context.Data(0, Layout::kPlain);
    const bool in_place = x->layout == Layout::kPlain && context.CanOverwrite(0);
    float* to = in_place ? context.OutputOver(0, shape, Layout::kPlain)
                         : context.Output(shape, Layout::kPlain);
    if (!from || !to) return false;
    if (n == 0) return true;
    const Settings settings{centered_, epsilon_, gamma_.defined() ? gamma_.data<float>() : nullptr,
                            beta_.defined() ? beta_.data<float>() : nullptr};
    ParallelFor(NumElements(shape) / n, 1 + (1 << 13) / n, [&](int64_t begin, int64_t end) {
      NormalizeRows(settings, from + begin * n, end - begin, n, to + begin * n);
    });
    return true;
  }

 private:
  const bool centered_;
  const float epsilon_;
  const Tensor gamma_, beta_;
};

bool IsVector(const Tensor* tensor) {
  return tensor && tensor->dtype() == DType::kFloat && tensor->rank() == 1;
}

}  // namespace

std::unique_ptr<FastKernel> MakeNormalizeKernel(const KernelSpec& spec) {
  if (spec.norm) {
    const NormSpec& norm = *spec.norm;
    return std::make_unique<NormalizeKernel>(norm.centered, norm.epsilon, norm.gamma, norm.beta);
  }
  if (!spec.post_ops.empty() || spec.main->Int("axis", -1) != -1 || spec.constants.size() < 2 ||
      !IsVector(spec.constants[1]))
    return nullptr;
  const Tensor* beta = spec.constants.size() > 2 ? spec.constants[2] : nullptr;
  if (spec.constants.size() > 2 && !IsVector(beta)) return nullptr;
  return std::make_unique<NormalizeKernel>(true, spec.main->Float("epsilon", 1e-5f),
                                           *spec.constants[1], beta ? *beta : Tensor());
}

}  // namespace roundel::engine
