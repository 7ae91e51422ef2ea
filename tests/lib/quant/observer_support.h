#pragma once
// Shared by the tests of calibration methods.

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/random.h"
#include "lib/quant/observers.h"
#include "tests/support/catch.h"

namespace roundel::quant {

inline std::unique_ptr<Observer> Make(const std::string& method,
                                      const MethodOptions& options = {}) {
  auto made = MakeObserver(method, options);
  REQUIRE(made.ok());
  return std::move(made).value();
}

inline std::vector<float> NormalValues(size_t n, uint64_t seed, float mean, float deviation) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = mean + deviation * static_cast<float>(random.Normal());
  return values;
}

// Of a Laplace density around zero: most values small, long tails.
inline std::vector<float> LaplaceValues(size_t n, uint64_t seed, float scale) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values) {
    const double u = random.Uniform() - 0.5;
    v = static_cast<float>(-scale * std::copysign(std::log(1 - 2 * std::fabs(u)), u));
  }
  return values;
}

inline ValueStatistics StatisticsOf(const std::vector<float>& values, int64_t parts = 1) {
  ValueStatistics statistics({.histogram = true, .samples = true, .moments = true});
  REQUIRE(statistics.Observe(values, parts).ok());
  return statistics;
}

// The range that `method` gives raw values, by way of the histogram.
inline Range RangeFor(const std::string& method, const std::vector<float>& values, const Grid& grid,
                      const MethodOptions& options = {}) {
  const auto observer = Make(method, options);
  return observer->Compute(EvidenceOf(StatisticsOf(values), observer->needs()), grid);
}

// Sum of squared errors of raw values, by the one rounding rule.
inline double RawError(const std::vector<float>& values, const Range& range, const Grid& grid) {
  const QParams p = ParamsFromRange(range.min, range.max, grid);
  double error = 0;
  for (const float x : values) {
    const double e = double{Dequantize(Quantize(x, p, grid.qmin(), grid.qmax()), p)} - x;
    error += e * e;
  }
  return error;
}

}  // namespace roundel::quant
