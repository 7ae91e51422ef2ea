// mse, omse, sqnr and auto against plain searches over the raw values.

#include <algorithm>
#include <cmath>

#include "lib/quant/observers/search.h"
#include "tests/lib/quant/observer_support.h"

namespace roundel::quant {
namespace {

std::vector<float> Shape(int which, size_t n) {
  std::vector<float> values = which == 1 ? NormalValues(n, 2, 0.5f, 1) : LaplaceValues(n, 1, 0.7f);
  if (which == 2)
    for (float& v : values) v = std::max(v, 0.0f);  // after a Relu
  if (which == 3)
    for (size_t i = 0; i < n; i += 997) values[i] *= 30;  // outliers
  if (which == 4)
    for (float& v : values) v = std::min(std::max(3 * v, 0.0f), 6.0f);  // after a Relu6
  return values;
}

// The least error over all pairs of ends 1.5 % apart (one end if symmetric).
double DenseScan(const std::vector<float>& values, const Grid& grid) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double reach = std::max(-*low, *high);
  double least = RawError(values, {*low, *high}, grid);
  if (grid.symmetric) {
    for (double t = reach; t > reach / 64; t *= 0.985)
      least = std::min(least, RawError(values, {-t, t}, grid));
    return least;
  }
  constexpr double kStep = 0.96;
  for (double a = std::min(0.0f, *low); a < *low / 64.0 || a == 0; a = a == 0 ? 1 : a * kStep) {
    for (double b = std::max(0.0f, *high); b > *high / 64.0; b *= kStep)
      least = std::min(least, RawError(values, {a, b}, grid));
    if (*low >= 0) break;
  }
  return least;
}

}  // namespace

TEST_CASE("mse finds the least error of a dense scan over both ends of the raw values") {
  const int shape = GENERATE(0, 1, 2, 3, 4);
  const int bits = GENERATE(2, 3, 4, 8);
  const std::vector<float> values = Shape(shape, 3000);
  for (const bool symmetric : {false, true}) {
    const Grid grid{.bits = bits, .is_signed = symmetric, .symmetric = symmetric};
    INFO("shape " << shape << ' ' << grid.Name());
    const double least = DenseScan(values, grid);
    const double mse = RawError(values, RangeFor("mse", values, grid), grid);
    const double omse = RawError(values, RangeFor("omse", values, grid), grid);
    // A value is known to 2^-9 of itself, an end is searched to 1/2 %: the error is flat there.
    CHECK(mse <= 1.03 * least);
    CHECK(omse <= 1.02 * least);
  }
}

TEST_CASE("omse is a fixed point: no scale or zero point near it has less error") {
  const std::vector<float> values = LaplaceValues(4000, 8, 1);
  for (const int bits : {2, 3, 4}) {
    for (const bool symmetric : {false, true}) {
      const Grid grid{.bits = bits, .is_signed = symmetric, .symmetric = symmetric};
      const Distribution d = Distribution::Of(values);
      const auto observer = Make("omse");
      const Evidence evidence{.seen = d.range(), .values = d};
      const Range range = observer->Compute(evidence, grid);
      const QParams p = ParamsFromRange(range.min, range.max, grid);
      const double found = ErrorOf(d, p, grid).total();
      CHECK(found <= SquaredError(evidence, Make("mse")->Compute(evidence, grid), grid));
      for (const double factor : {0.99, 0.999, 1.001, 1.01})
        CHECK(ErrorOf(d, {static_cast<float>(p.scale * factor), p.zero_point}, grid).total() >=
              found * 0.9999);
    }
  }
}

TEST_CASE("wide grids keep everything") {
  const std::vector<float> values = LaplaceValues(20000, 6, 1);
  const Grid grid{.bits = 16};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double whole = RawError(values, {*low, *high}, grid);
  for (const char* method : {"mse", "omse", "kl", "auto"}) {
    INFO(method);
    CHECK(RawError(values, RangeFor(method, values, grid), grid) <= 1.02 * whole);
  }
}

TEST_CASE("sqnr is the best of AIMET's candidates, clipping counted gamma times") {
  const int shape = GENERATE(0, 1, 2, 3);
  const double gamma = GENERATE(1.0, 3.0, 50.0);
  const std::vector<float> values = Shape(shape, 2000);
  const auto cost = [&](const Range& range, const Grid& grid) {
    const QParams p = ParamsFromRange(range.min, range.max, grid);
    const double low = (double{1} * grid.qmin() - p.zero_point) * p.scale;
    const double high = (double{1} * grid.qmax() - p.zero_point) * p.scale;
    double total = 0;
    for (const double x : values) {
      const double e =
          double{Dequantize(Quantize(static_cast<float>(x), p, grid.qmin(), grid.qmax()), p)} - x;
      total += (x < low || x > high ? gamma : 1) * e * e;
    }
    return total;
  };
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double min = std::min(0.0f, *low), max = std::max(0.0f, *high);
  const Grid asymmetric{.bits = 4}, symmetric{.bits = 4, .is_signed = true, .symmetric = true};
  double least = cost({min, max}, asymmetric);
  for (int k = 1; k <= 17; ++k) {
    for (int i = 0; i <= 20; ++i) {
      const double delta = (max - min) / 15 * k / 16, offset = std::nearbyint(-15 + 15.0 * i / 20);
      const Range r{std::max(min, delta * offset), std::min(max, delta * (offset + 15))};
      if (r.min < r.max) least = std::min(least, cost(r, asymmetric));
    }
  }
  CHECK(cost(RangeFor("sqnr", values, asymmetric, {.gamma = gamma}), asymmetric) <= 1.01 * least);
  least = cost({min, max}, symmetric);
  for (int k = 1; k <= 101; ++k) {
    const double t = std::max(-min, max) * k / 101;
    least = std::min(least, cost({-t, t}, symmetric));
  }
  CHECK(cost(RangeFor("sqnr", values, symmetric, {.gamma = gamma}), symmetric) <= 1.01 * least);
}

TEST_CASE("auto has the least cost of all methods, and clips less where mean errors add up") {
  std::vector<float> values = Shape(3, 5000);
  for (float& v : values) v = std::max(v, 0.0f);
  const Distribution d = Distribution::Of(values);
  const Grid grid{.bits = 4};
  double last = 0;
  for (const double weight : {1.0, 10.0, 1000.0, 1e6}) {
    const Evidence evidence{.seen = d.range(), .values = d, .mean_error_weight = weight};
    // v + r m^2 on the raw values.
    const auto cost = [&](const Range& range) {
      const QParams p = ParamsFromRange(range.min, range.max, grid);
      double sum = 0, squares = 0;
      for (const float x : values) {
        const double e = double{Dequantize(Quantize(x, p, grid.qmin(), grid.qmax()), p)} - x;
        sum += e;
        squares += e * e;
      }
      const double m = sum / 5000;
      return squares / 5000 - m * m + weight * m * m;
    };
    const Decision decision = Make("auto")->Decide(evidence, grid);
    for (const char* method : {"min_max", "percentile", "mse", "omse", "sqnr", "aciq", "kl"}) {
      INFO(method << " against " << decision.method);
      CHECK(cost(decision.range) <= 1.0001 * cost(Make(method)->Compute(evidence, grid)));
    }
    // What is clipped shrinks as the mean error weighs more.
    const double kept = decision.range.max;
    if (weight == 10 || weight == 1) CHECK(kept >= last * 0.999);
    last = kept;
  }
}

}  // namespace roundel::quant
