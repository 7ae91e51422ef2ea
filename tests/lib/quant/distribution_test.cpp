#include <algorithm>
#include <cmath>

#include "lib/quant/distribution.h"

#include "tests/lib/quant/observer_support.h"

namespace roundel::quant {
namespace {

// Mass of uniform densities, summed over many points.
std::vector<double> Points(const Distribution& values, int per_bin) {
  std::vector<double> points;
  for (const Distribution::Bin& bin : values.bins())
    for (int i = 0; i < per_bin; ++i)
      points.push_back(bin.low + (bin.high - bin.low) * (i + 0.5) / per_bin);
  return points;
}

QuantizationError PlainError(const Distribution& values, const QParams& p, const Grid& grid,
                             int per_bin) {
  QuantizationError error;
  const std::vector<double> points = Points(values, per_bin);
  const double low = (double{1} * grid.qmin() - p.zero_point) * p.scale;
  const double high = (double{1} * grid.qmax() - p.zero_point) * p.scale;
  for (size_t i = 0; i < points.size(); ++i) {
    const double x = points[i], mass = values.bins()[i / per_bin].mass / per_bin;
    const double e = std::clamp(std::nearbyint(x / p.scale) * p.scale, low, high) - x;
    (x < low || x > high ? error.clipping : error.rounding) += mass * e * e;
    error.sum += mass * e;
  }
  return error;
}

}  // namespace

TEST_CASE("a distribution of values holds each of them") {
  const std::vector<float> values = {3, -1, 0, 3, 0.5f, -0.0f, 3};
  const Distribution d = Distribution::Of(values);
  CHECK(d.mass() == 7);
  CHECK(d.zeros() == 2);
  CHECK(d.range().min == -1);
  CHECK(d.range().max == 3);
  CHECK(d.bins().size() == 4);
  CHECK(d.Below(3).mass == 7);
  CHECK(d.Below(2.999).mass == 4);
  CHECK(d.Below(-1.5).mass == 0);
  CHECK(d.Below(0.5).sum == Approx(-0.5));
  CHECK((d.Below(9) - d.Below(0)).squares == Approx(27.25));
  CHECK((d.Below(9) - d.Below(0)).About(1) == Approx(3 * 4 + 0.25));
  CHECK(d.Quantile(1) == -1);
  CHECK(d.Quantile(3.5) == 0.5);
  CHECK(d.Quantile(99) == 3);
  CHECK(d.MagnitudeQuantile(4) == Approx(1));
  CHECK(d.MassBelow({-2, -1, 0, 1, 3}) == std::vector<double>{0, 1, 3, 4, 7});
  CHECK(Distribution().mass() == 0);
  CHECK(Distribution().Below(1).mass == 0);
  CHECK(Distribution().Quantile(1) == 0);
}

TEST_CASE("a distribution of a histogram knows moments to the bucket's width") {
  std::vector<float> values = LaplaceValues(50000, 1, 2);
  for (size_t i = 0; i < values.size(); i += 3) values[i] = 0;
  const Distribution d = Distribution::Of(StatisticsOf(values));
  CHECK(d.mass() == 50000);
  CHECK(d.zeros() == 16667);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  CHECK(d.range().min == *low);
  CHECK(d.range().max == *high);
  for (const double x : {-5.0, -0.3, 0.0, 1e-3, 0.7, 4.0, 100.0}) {
    double mass = 0, near = 0, sum = 0, squares = 0;
    for (const double v : values) {
      mass += v <= x;
      near += std::fabs(v - x) <= std::fabs(x) / 256;
      sum += v <= x ? v : 0;
      squares += v <= x ? v * v : 0;
    }
    CHECK(std::fabs(d.Below(x).mass - mass) <= near);
    CHECK(std::fabs(d.Below(x).sum - sum) <= near * std::fabs(x) + 1e-2 * std::fabs(sum) + 1e-3);
    CHECK(std::fabs(d.Below(x).squares - squares) <= near * x * x + 1e-2 * squares + 1e-3);
  }
}

TEST_CASE("errors of points agree with the rounding rule, whichever way they are summed") {
  const int bits = GENERATE(2, 3, 4, 8, 16);
  const size_t n = GENERATE(5, 300, 5000);  // few: bin by bin; many: level by level
  const bool symmetric = GENERATE(false, true);
  const std::vector<float> values = LaplaceValues(n, n, 1);
  const Grid grid{.bits = bits, .is_signed = symmetric, .symmetric = symmetric};
  const Distribution d = Distribution::Of(values);
  for (const Range& range : {Range{-9, 9}, Range{-0.5, 2}, Range{-3, 0}, Range{0, 0.01}}) {
    const QParams p = ParamsFromRange(range.min, range.max, grid);
    const QuantizationError error = ErrorOf(d, p, grid);
    // x / scale is rounded to a float, which moves values at 16 bits by up to 2^-9 of a step.
    const double slack = bits == 16 ? 0.02 : 1e-4;
    CHECK(error.total() == Approx(RawError(values, range, grid)).epsilon(slack));
    double sum = 0;
    for (const float x : values)
      sum += double{Dequantize(Quantize(x, p, grid.qmin(), grid.qmax()), p)} - x;
    CHECK(error.sum ==
          Approx(sum).epsilon(1e-3).margin(slack / 10 * static_cast<double>(n) * p.scale));
  }
}

TEST_CASE("errors of uniform densities agree with very many points") {
  const int bits = GENERATE(2, 4, 8, 16);
  std::vector<float> values = LaplaceValues(200, 4, 1);
  values.insert(values.end(), {0, 0, 0});
  const Distribution d = Distribution::Of(StatisticsOf(values));
  const Grid grid{.bits = bits};
  for (const Range& range : {Range{-9, 9}, Range{-0.5, 2}, Range{0, 0.7}}) {
    const QParams p = ParamsFromRange(range.min, range.max, grid);
    const QuantizationError error = ErrorOf(d, p, grid), plain = PlainError(d, p, grid, 4000);
    CHECK(error.rounding == Approx(plain.rounding).epsilon(2e-3));
    CHECK(error.clipping == Approx(plain.clipping).epsilon(1e-3).margin(1e-9));
    CHECK(error.sum == Approx(plain.sum).epsilon(1e-3).margin(1e-3 * 200 * p.scale));
  }
}

}  // namespace roundel::quant
