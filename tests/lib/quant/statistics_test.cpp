#include "lib/quant/statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "lib/base/parallel.h"
#include "lib/quant/calibration_statistics.h"
#include "tests/lib/quant/observer_support.h"

namespace roundel::quant {
namespace {

void CheckSame(const ValueStatistics& a, const ValueStatistics& b) {
  CHECK(a.count() == b.count());
  CHECK(a.zeros() == b.zeros());
  CHECK(a.seen().min == b.seen().min);
  CHECK(a.seen().max == b.seen().max);
  uint32_t differing = 0;
  for (uint32_t i = 0; i < Histogram::kBuckets; ++i)
    differing += a.histogram().count(i) != b.histogram().count(i);
  CHECK(differing == 0);
}

// Values of all magnitudes, zeros of both signs and a few extremes among them.
std::vector<float> Mixed(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values)
    v = random.Uniform() < 0.3
            ? 0.0f
            : static_cast<float>(random.Normal() * std::exp2(40 * random.Uniform() - 20));
  if (n > 3) {
    values[1] = -0.0f;
    values[2] = std::numeric_limits<float>::max();
    values[3] = std::numeric_limits<float>::denorm_min();
  }
  return values;
}

}  // namespace

TEST_CASE("an exact sum does not depend on order and loses nothing") {
  const double big = 0x1p1000, least = std::numeric_limits<double>::denorm_min();
  ExactSum sum;
  for (const double x : {big, 1.0, least, -big, 0.5, -0x1p-1060, 0x1p-1060}) sum.Add(x);
  CHECK(sum.Value() == 1.5);
  for (const double x : {-1.0, -0.5}) sum.Add(x);
  CHECK(sum.Value() == least);
  sum.Add(-3 * least);
  CHECK(sum.Value() == -2 * least);
  CHECK(ExactSum().Value() == 0);

  Random random(1);
  std::vector<double> values(2000);
  for (double& v : values) v = random.Normal() * std::exp2(100 * random.Uniform());
  ExactSum forward, first, second;
  for (const double v : values) forward.Add(v);
  random.Shuffle(values);
  for (size_t i = 0; i < values.size(); ++i) (i % 3 ? first : second).Add(values[i]);
  second.Add(first);
  CHECK(second.Value() == forward.Value());
  long double plain = 0;
  for (const double v : values) plain += v;
  CHECK(forward.Value() == Approx(static_cast<double>(plain)).epsilon(1e-14));
}

TEST_CASE("buckets, zeros and moments agree with plain counting at every length") {
  for (const size_t n :
       {1u, 7u, 15u, 16u, 17u, 33u, 2047u, 2048u, 2049u, 65536u, 65537u, 150001u}) {
    const std::vector<float> values = Mixed(n, n);
    const ValueStatistics statistics = StatisticsOf(values);
    std::map<uint32_t, uint64_t> counts;
    int64_t zeros = 0;
    long double sum = 0, squares = 0;
    for (const float x : values) {
      // Below 2^-134 nothing is told from zero.
      if (std::fabs(x) < 0x1p-134f)
        ++zeros;
      else
        ++counts[std::bit_cast<uint32_t>(x) >> 15];
      sum += x;
      squares += static_cast<long double>(x) * x;
    }
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < Histogram::kBuckets; ++i) {
      const auto found = counts.find(i);
      wrong += statistics.histogram().count(i) != (found == counts.end() ? 0 : found->second);
    }
    CHECK(wrong == 0);
    CHECK(statistics.zeros() == zeros);
    CHECK(statistics.count() == static_cast<int64_t>(n));
    CHECK(statistics.mean() == Approx(static_cast<double>(sum / n)).epsilon(1e-12));
    CHECK(statistics.second_moment() == Approx(static_cast<double>(squares / n)).epsilon(1e-12));
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    CHECK(statistics.seen().min == *low);
    CHECK(statistics.seen().max == *high);
  }
}

TEST_CASE("a bucket is at most 2^-8 of its values wide") {
  for (uint32_t m = 2; m < Histogram::MagnitudeOf(std::numeric_limits<float>::max()); ++m) {
    const double low = Histogram::Edge(m), high = Histogram::Edge(m + 1);
    const bool normal = low >= std::numeric_limits<float>::min();
    if (normal) REQUIRE((high - low) / low <= 0x1p-8 + 1e-15);
    REQUIRE(low < high);
  }
}

TEST_CASE("minimum and maximum are exact with and without a histogram") {
  const StatisticsNeeds needs = GENERATE(StatisticsNeeds{}, StatisticsNeeds{.histogram = true},
                                         StatisticsNeeds{.samples = true});
  for (const size_t n : {1u, 15u, 16u, 17u, 31u, 64u, 65u, 65536u, 65537u, 200003u}) {
    std::vector<float> values = NormalValues(n, n, 0.5f, 1.0f);
    for (const size_t place : {size_t{0}, n / 2, n - 1}) {
      auto changed = values;
      changed[place] = 100;
      changed[n - 1 - place / 2] = -50;
      ValueStatistics statistics(needs);
      REQUIRE(statistics.Observe(changed).ok());
      const auto [low, high] = std::minmax_element(changed.begin(), changed.end());
      CHECK(statistics.seen().min == *low);
      CHECK(statistics.seen().max == *high);
    }
  }
  CHECK(ValueStatistics(needs).seen().min == 0);
  CHECK(ValueStatistics(needs).seen().max == 0);
}

TEST_CASE("NaN and infinity are data errors wherever they stand, and leave nothing behind") {
  const StatisticsNeeds needs = GENERATE(StatisticsNeeds{}, StatisticsNeeds{.histogram = true},
                                         StatisticsNeeds{.samples = true});
  const float infinity = std::numeric_limits<float>::infinity();
  for (const size_t n : {1u, 16u, 19u, 70000u}) {
    for (const size_t place : {size_t{0}, n / 2, n - 1}) {
      std::vector<float> values(n, 1.0f);
      values[place] = std::numeric_limits<float>::quiet_NaN();
      const Status nan = ValueStatistics(needs).Observe(values);
      CHECK(nan.kind() == ErrorKind::kData);
      CHECK(nan.message() == "it contains NaN");
      for (const float bad : {infinity, -infinity}) {
        values[place] = bad;
        const Status infinite = ValueStatistics(needs).Observe(values);
        CHECK(infinite.kind() == ErrorKind::kData);
        CHECK(infinite.message() == "it contains infinity");
      }
      // The tables are shared by all values: the next one must not see what the last one left.
      values[place] = 2.0f;
      ValueStatistics next({.histogram = true});
      REQUIRE(next.Observe(values).ok());
      ValueStatistics plain({.histogram = true});
      if (n > 100) continue;
      for (const float x : values) REQUIRE(plain.Observe({&x, 1}).ok());
      CheckSame(next, plain);
    }
  }
}

TEST_CASE("any order, split, merge and number of threads give the same bits") {
  std::vector<float> values = Mixed(300001, 3);
  const ValueStatistics whole = StatisticsOf(values);
  Random(5).Shuffle(values);
  const int threads = Threads();
  const std::span<const float> all(values);
  for (const int count : {1, 2, 3}) {
    SetThreads(count);
    ValueStatistics a({.histogram = true, .samples = true, .moments = true});
    ValueStatistics b(a.needs()), c(a.needs());
    REQUIRE(a.Observe(all.subspan(0, 100000)).ok());
    REQUIRE(b.Observe(all.subspan(100000, 7)).ok());
    REQUIRE(b.Observe(std::vector<float>{}).ok());
    REQUIRE(c.Observe(all.subspan(100007)).ok());
    ValueStatistics forward(a.needs()), backward(a.needs());
    for (const ValueStatistics* part : {&a, &b, &c}) forward.Append(*part);
    for (const ValueStatistics* part : {&c, &b, &a}) backward.Append(*part);
    CheckSame(forward, whole);
    CheckSame(backward, whole);
    CHECK(forward.mean() == backward.mean());
    CHECK(forward.second_moment() == backward.second_moment());
  }
  SetThreads(threads);
}

TEST_CASE("parts leave their own extremes, tensors that share a range unite theirs") {
  ValueStatistics statistics({.samples = true});
  REQUIRE(statistics.Observe(std::vector<float>{1, 5, -2, 0, 3, 3}, 3).ok());
  REQUIRE(statistics.Observe(std::vector<float>{7, 8}, 1).ok());
  CHECK(statistics.samples() == std::vector<SampleRange>{{1, 5}, {-2, 0}, {3, 3}, {7, 8}});
  ValueStatistics other({.samples = true});
  REQUIRE(other.Observe(std::vector<float>{0, 2, 9, -9, 1}, 5).ok());
  statistics.Unite(other);
  CHECK(statistics.samples() == std::vector<SampleRange>{{0, 5}, {-2, 2}, {3, 9}, {-9, 8}, {1, 1}});
  CHECK(statistics.seen().min == -9);
  CHECK(statistics.count() == 13);
}

TEST_CASE("runs over parts of the data merge to what one run over all gives") {
  const auto run = [](const std::vector<float>& values, double mean, int64_t count) {
    CalibrationStatistics one;
    one.data_hash = std::to_string(count);
    one.samples = count;
    one.values.emplace("x", StatisticsOf(values));
    one.input_means["x"] = {{mean, 2 * mean}, {1, 2}, count};
    return one;
  };
  const std::vector<float> a = Mixed(1000, 1), b = Mixed(3000, 2);
  std::vector<float> both = a;
  both.insert(both.end(), b.begin(), b.end());
  const auto merge = [](std::vector<CalibrationStatistics> parts, auto... more) {
    (parts.push_back(std::move(more)), ...);
    return CalibrationStatistics::Merge(std::move(parts));
  };
  const auto ab = merge({}, run(a, 3, 10), run(b, 7, 30)),
             ba = merge({}, run(b, 7, 30), run(a, 3, 10));
  REQUIRE(ab.ok());
  REQUIRE(ba.ok());
  CheckSame(ab->values.at("x"), StatisticsOf(both));
  CheckSame(ba->values.at("x"), StatisticsOf(both));
  CHECK(ab->data_hash == ba->data_hash);
  CHECK(ab->samples == 40);
  CHECK(ab->input_means.at("x").mean == std::vector<double>{6, 12});
  // Three means whose plain sum depends on the order.
  const auto three = [&](int i) { return run(a, i == 0 ? 1e16 : i == 1 ? 1 : -1e16, 1); };
  CHECK(merge({}, three(0), three(1), three(2))->input_means.at("x").mean[0] == 1.0 / 3);
  CHECK(merge({}, three(0), three(2), three(1))->input_means.at("x").mean[0] == 1.0 / 3);

  CalibrationStatistics other = run(a, 1, 1);
  other.values.emplace("y", StatisticsOf(b));
  CHECK(merge({}, run(a, 1, 1), std::move(other)).status().message() ==
        "part 2: has a value 'y' that the first does not have");
  CalibrationStatistics none = run(a, 1, 1);
  none.values.clear();
  CHECK(merge({}, run(a, 1, 1), std::move(none)).status().message() ==
        "part 2: lacks the value 'x' of the first");
  CalibrationStatistics channels = run(a, 1, 1);
  channels.input_means["x"].mean.push_back(0);
  CHECK(merge({}, run(a, 1, 1), std::move(channels)).status().message() ==
        "part 2: has another number of channels in 'x' than the first");
}

}  // namespace roundel::quant
