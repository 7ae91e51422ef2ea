#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/quant/encodings.h"
#include "tests/lib/quant/observer_support.h"
#include "tests/support/catch.h"

namespace roundel::quant {
namespace {

Grid Named(const std::string& name) {
  for (const NamedGrid& named : NamedGrids())
    if (named.name == name) return named.grid;
  FAIL("no grid " + name);
  return {};
}

double ErrorOfScale(const std::vector<float>& x, double scale, const Grid& grid) {
  double error = 0;
  for (const float v : x) {
    float q = 0;
    FakeQuantize(&v, &q, 1, {static_cast<float>(scale), 0}, grid);
    error += (double{q} - v) * (double{q} - v);
  }
  return error;
}

// The least squared error over all assignments of levels to the values, each with its best scale.
double LeastError(const std::vector<float>& x, bool zero) {
  const int levels = zero ? 3 : 2;
  int64_t count = 1;
  for (size_t i = 0; i < x.size(); ++i) count *= levels;
  double energy = 0, most = 0;
  for (const float v : x) energy += double{v} * v;
  for (int64_t number = 0; number < count; ++number) {
    double product = 0, squares = 0;
    int64_t rest = number;
    for (const float v : x) {
      const int64_t digit = rest % levels;
      rest /= levels;
      const double q = static_cast<double>(zero ? digit - 1 : 2 * digit - 1);
      product += q * v;
      squares += q * q;
    }
    if (squares > 0 && product > 0) most = std::max(most, product * product / squares);
  }
  return energy - most;
}

Range RangeOfValues(const std::string& method, const std::vector<float>& x, const Grid& grid) {
  Evidence evidence;
  evidence.seen = {*std::min_element(x.begin(), x.end()), *std::max_element(x.begin(), x.end())};
  evidence.values = Distribution::Of(x);
  return Make(method)->Compute(evidence, grid);
}

}  // namespace

TEST_CASE("least squares of ternary and binary weights is the optimum over all codes") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<float> x = NormalValues(9, seed, 0.1f, 1);
    if (seed % 4 == 0) x[3] = x[5] = -x[1];  // equal magnitudes
    if (seed % 5 == 0) x[0] = 0;
    for (const char* name : {"ternary", "binary"}) {
      const Grid grid = Named(name);
      for (const char* method : {"mse", "omse", "sqnr", "aciq", "kl"}) {
        const Range range = RangeOfValues(method, x, grid);
        CHECK(ParamsFromRange(range.min, range.max, grid).scale == Approx(range.max).epsilon(1e-6));
        CHECK(ErrorOfScale(x, range.max, grid) ==
              Approx(LeastError(x, grid.kind == GridKind::kTernary)).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("scales with a sign: the search is no worse than any of 4000 scales by its step") {
  const Grid grid{.bits = 3, .is_signed = true, .symmetric = true, .scales = ScaleKind::kSigned};
  const auto error_of = [&](const std::vector<float>& x, QParams p) {
    double error = 0;
    for (const float v : x) {
      const double e = double{Dequantize(Quantize(v, p, grid.qmin(), grid.qmax()), p)} - v;
      error += e * e;
    }
    return error;
  };
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const std::vector<float> x = NormalValues(64, seed, seed % 2 ? 0.5f : -0.5f, 1);
    const Range range = RangeOfValues("mse", x, grid);
    const QParams found = ParamsFromRange(range.min, range.max, grid);
    const double largest = std::fabs(ParamsFromRange(*std::min_element(x.begin(), x.end()),
                                                     *std::max_element(x.begin(), x.end()), grid)
                                         .scale);
    double least = std::numeric_limits<double>::max();
    for (int i = 1; i <= 2000; ++i)
      for (const double sign : {-1.0, 1.0})
        least = std::min(least, error_of(x, {static_cast<float>(sign * largest * i / 2000), 0}));
    CHECK(error_of(x, found) <= 1.1 * least);  // candidates are 9 % apart
    const Distribution distribution = Distribution::Of(x);
    CHECK(ErrorOf(distribution, found, grid).total() == Approx(error_of(x, found)).epsilon(1e-4));
    const QParams mirrored{-found.scale, 0};
    CHECK(ErrorOf(distribution, mirrored, grid).total() ==
          Approx(error_of(x, mirrored)).epsilon(1e-4));
  }
}

TEST_CASE("abs_mean and twn by their definitions") {
  const std::vector<float> x = LaplaceValues(1000, 7, 0.3f);
  double sum = 0;
  for (const float v : x) sum += std::fabs(v);
  const double mean = sum / 1000;
  double above = 0, count = 0;
  for (const float v : x)
    if (std::fabs(v) > 0.7 * mean) above += std::fabs(v), ++count;
  for (const char* name : {"ternary", "binary"}) {
    CHECK(RangeOfValues("abs_mean", x, Named(name)).max == Approx(mean));
    CHECK(RangeOfValues("twn", x, Named(name)).max == Approx(above / count));
  }
  CHECK(RangeOfValues("abs_mean", x, {.bits = 8}).max == *std::max_element(x.begin(), x.end()));
}

TEST_CASE("binary codes are signs, zero counts as positive, NaN has one") {
  const Tensor value = Tensor::FromVector<float>(
      {5}, {0.0f, -0.0f, -1e-30f, 3.0f, std::numeric_limits<float>::quiet_NaN()});
  const Encoding e{.grid = Named("binary"), .params = {{0.5f, 0}}};
  CHECK(QuantizeTensor(value, e) == Tensor::FromVector<int8_t>({5}, {1, 1, -1, 1, 1}));
  CHECK(FakeQuantizeTensor(value, e) ==
        Tensor::FromVector<float>({5}, {0.5f, 0.5f, -0.5f, 0.5f, 0.5f}));
}

}  // namespace roundel::quant
