// The vectorizable functions against the C library's in double.
#include "lib/ops/kernels/vector_math.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

// The largest relative error over [low, high] in 200001 steps.
template <typename F, typename G>
double WorstError(double low, double high, const F& approximate, const G& exact) {
  double worst = 0;
  for (int i = 0; i <= 200000; ++i) {
    const auto x = static_cast<float>(low + (high - low) * i / 200000);
    const double expected = exact(static_cast<double>(x));
    if (expected == 0) continue;
    worst = std::max(worst, std::fabs((approximate(x) - expected) / expected));
  }
  return worst;
}

TEST_CASE("exp, logistic, tanh and erf stay within their error bounds") {
  CHECK(WorstError(-87, 88.7, ExpFloat, [](double x) { return std::exp(x); }) < 2e-7);
  CHECK(WorstError(-80, 20, LogisticFloat, [](double x) { return 1 / (1 + std::exp(-x)); }) < 2e-7);
  CHECK(WorstError(-10, 10, TanhFloat, [](double x) { return std::tanh(x); }) < 2e-7);
  CHECK(WorstError(-5, 5, ErfFloat, [](double x) { return std::erf(x); }) < 4e-7);
  CHECK(WorstError(-1e-3, 1e-3, TanhFloat, [](double x) { return std::tanh(x); }) < 2e-7);
  CHECK(WorstError(-1e-3, 1e-3, ErfFloat, [](double x) { return std::erf(x); }) < 4e-7);
}

TEST_CASE("their limits are those of the real functions") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(ExpFloat(0) == 1);
  CHECK(ExpFloat(kInf) == kInf);
  CHECK(ExpFloat(1e30f) == kInf);
  CHECK(ExpFloat(-kInf) == 0);
  CHECK(LogisticFloat(kInf) == 1);
  CHECK(LogisticFloat(-kInf) == 0);
  CHECK(TanhFloat(kInf) == 1);
  CHECK(TanhFloat(-kInf) == -1);
  CHECK(ErfFloat(kInf) == 1);
  CHECK(ErfFloat(-kInf) == -1);
  CHECK(TanhFloat(0) == 0);
  CHECK(ErfFloat(0) == 0);
  for (const auto f : {ExpFloat, LogisticFloat, TanhFloat, ErfFloat}) CHECK(std::isnan(f(nan)));
}

}  // namespace
}  // namespace roundel::engine
