// Ranges from few values. Ranges are widened for unseen values, so that the tests measure errors on
// those.

#include "lib/quant/few_values.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/base/random.h"
#include "tests/support/catch.h"

namespace roundel::quant {
namespace {

std::vector<float> Normal(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - random.Uniform()));
    values.push_back(static_cast<float>(radius * std::cos(6.283185307179586 * random.Uniform())));
  }
  return values;
}

Distribution Seen(const std::vector<float>& values) {
  ValueStatistics statistics({.histogram = true});
  REQUIRE(statistics.Observe(values).ok());
  return Distribution::Of(statistics);
}

Range Widened(const std::vector<float>& values, int64_t samples) {
  const Distribution seen = Seen(values);
  return WidenedForFewValues(seen.range(), seen, samples);
}

double Outside(const Range& range, const std::vector<float>& values) {
  return static_cast<double>(
             std::count_if(values.begin(), values.end(),
                           [&](float v) { return v < range.min || v > range.max; })) /
         static_cast<double>(values.size());
}

TEST_CASE("fewer of the values to come lie outside of a widened range") {
  const std::vector<float> later = Normal(200000, 99);
  for (const int64_t count : {16, 64, 256, 1024}) {
    double seen = 0, widened = 0;
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const std::vector<float> values = Normal(count, seed);
      const Range narrow = Seen(values).range(), wide = Widened(values, 2);
      CHECK(wide.min < narrow.min);
      CHECK(wide.max > narrow.max);
      seen += Outside(narrow, later) / 50;
      widened += Outside(wide, later) / 50;
    }
    INFO(count << " values");
    // Of n values the next one lies outside with probability 2 / (n + 1).
    CHECK(seen == Approx(2.0 / static_cast<double>(count + 1)).epsilon(0.3));
    CHECK(widened < seen / 2.5);
  }
}

TEST_CASE("the less was seen the wider, and nothing changes where enough was") {
  double before = 10;
  for (int64_t values = 1; values <= 8192; values *= 2) {
    const double factor = FewValuesFactor(4, values);
    CHECK((factor < before || factor == 1));
    before = factor;
  }
  CHECK(FewValuesFactor(2, 100) > FewValuesFactor(8, 100));
  CHECK(FewValuesFactor(16, 10) == 1);
  CHECK(FewValuesFactor(1, 4096) == 1);
  CHECK(FewValuesFactor(0, 10) == 1);  // no data at all
  const std::vector<float> values = Normal(5000, 1);
  CHECK(Widened(values, 1).max == Seen(values).range().max);
}

TEST_CASE("bounds stay: zeros of a Relu, masks, and what a method has cut off") {
  std::vector<float> positive = Normal(64, 5);
  for (float& v : positive) v = std::max(v, 0.0f);
  CHECK(Widened(positive, 1).min == 0);
  CHECK(Widened(positive, 1).max > Seen(positive).range().max);
  const Range mask = Widened({0, 1, 1, 0, 1, 1, 0}, 1);
  CHECK(mask.min == 0);
  CHECK(mask.max == 1);
  const Distribution seen = Seen(Normal(200, 7));
  const Range cut{-1, seen.range().max};
  CHECK(WidenedForFewValues(cut, seen, 1).min == -1);
  CHECK(WidenedForFewValues(cut, seen, 1).max > cut.max);
  CHECK(Widened({2, 2, 2}, 1).max == 2);
}

}  // namespace
}  // namespace roundel::quant
