#include "lib/quant/observers.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/quant/tensor_ranges.h"

namespace roundel::quant {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const Grid kAsymmetric{.bits = 8};
const Grid kSymmetric{.bits = 8, .is_signed = true, .symmetric = true};

std::unique_ptr<Observer> Make(const std::string& method, double percentile = 99.99) {
  auto made = MakeObserver(method, {.percentile = percentile});
  REQUIRE(made.ok());
  return std::move(made).value();
}

std::vector<float> NormalValues(size_t n, uint64_t seed, float mean, float deviation) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = mean + deviation * static_cast<float>(random.Normal());
  return values;
}

// The quantile by sorting: between the values whose ranks enclose share * n.
std::pair<double, double> Enclosing(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double rank = share * static_cast<double>(values.size());
  const auto last = static_cast<double>(values.size() - 1);
  return {values[static_cast<size_t>(std::clamp(std::floor(rank) - 1, 0.0, last))],
          values[static_cast<size_t>(std::clamp(std::ceil(rank), 0.0, last))]};
}

// `value` lies between the enclosing order statistics, give or take one bucket (2^-8 relative).
void CheckQuantile(double value, const std::vector<double>& values, double share) {
  const auto [low, high] = Enclosing(values, share);
  const double slack = std::max(std::abs(low), std::abs(high)) / 256;
  CHECK(value >= low - slack);
  CHECK(value <= high + slack);
}

}  // namespace

TEST_CASE("methods are listed, and an unknown one names the nearest") {
  CHECK(ObserverMethods() == std::vector<std::string>{"min_max", "percentile"});
  const auto wrong = MakeObserver("percentil");
  CHECK(wrong.status().kind() == ErrorKind::kUsage);
  CHECK(wrong.status().message() ==
        "unknown calibration method 'percentil', did you mean 'percentile'?");
  CHECK(MakeObserver("kl").status().message() ==
        "unknown calibration method 'kl'; known: min_max, percentile");
  for (const double bad : {50.0, 100.5, -1.0, static_cast<double>(kNan)})
    CHECK(MakeObserver("percentile", {.percentile = bad}).status().kind() == ErrorKind::kUsage);
}

TEST_CASE("min_max is exact at every length and position") {
  for (const size_t n : {1u, 15u, 16u, 17u, 31u, 64u, 65u, 65536u, 65537u, 200003u}) {
    std::vector<float> values = NormalValues(n, n, 0.5f, 1.0f);
    for (const size_t place : {size_t{0}, n / 2, n - 1}) {
      auto changed = values;
      changed[place] = 100;
      changed[n - 1 - place / 2] = -50;
      auto observer = Make("min_max");
      REQUIRE(observer->Observe(changed).ok());
      const auto [low, high] = std::minmax_element(changed.begin(), changed.end());
      CHECK(observer->seen().min == *low);
      CHECK(observer->seen().max == *high);
      CHECK(observer->Compute(kAsymmetric).max == *high);
      CHECK(observer->count() == static_cast<int64_t>(n));
    }
  }
}

TEST_CASE("min_max adds up over batches and merges") {
  auto a = Make("min_max"), b = Make("min_max"), empty = Make("min_max");
  REQUIRE(a->Observe(std::vector<float>{1, 2}).ok());
  REQUIRE(a->Observe(std::vector<float>{}).ok());
  REQUIRE(a->Observe(std::vector<float>{0.5f}).ok());
  REQUIRE(b->Observe(std::vector<float>{-3, 1.5f}).ok());
  CHECK(empty->seen().min == 0);
  CHECK(empty->seen().max == 0);
  a->Merge(*empty);
  CHECK(a->seen().min == 0.5);
  CHECK(a->seen().max == 2);
  a->Merge(*b);
  CHECK(a->seen().min == -3);
  CHECK(a->seen().max == 2);
  CHECK(a->count() == 5);
}

TEST_CASE("NaN and infinity are data errors wherever they stand") {
  for (const std::string& method : ObserverMethods()) {
    for (const size_t n : {1u, 16u, 19u, 70000u}) {
      for (const size_t place : {size_t{0}, n / 2, n - 1}) {
        std::vector<float> values(n, 1.0f);
        values[place] = kNan;
        const Status nan = Make(method)->Observe(values);
        CHECK(nan.kind() == ErrorKind::kData);
        CHECK(nan.message() == "NaN among the values");
        for (const float infinity : {kInfinity, -kInfinity}) {
          values[place] = infinity;
          const Status infinite = Make(method)->Observe(values);
          CHECK(infinite.kind() == ErrorKind::kData);
          CHECK(infinite.message() == "infinity among the values");
        }
      }
    }
  }
}

TEST_CASE("percentile agrees with sorting, both tails and magnitudes") {
  const auto shape = GENERATE(0, 1, 2, 3);
  std::vector<float> values = NormalValues(100003, 7, 0.3f, 2.0f);
  if (shape == 1)
    for (float& v : values) v = std::max(v, 0.0f);  // after a Relu
  if (shape == 2)
    for (float& v : values) v = std::exp(6 * v) * 1e-20f;  // 30 decades
  if (shape == 3)
    for (float& v : values) v = -std::abs(v) - 0.5f;  // negative only
  std::vector<double> sorted(values.begin(), values.end()), magnitudes;
  for (const float v : values) magnitudes.push_back(std::abs(v));
  for (const double p : {60.0, 95.0, 99.9, 99.99, 99.9999}) {
    auto observer = Make("percentile", p);
    REQUIRE(observer->Observe(values).ok());
    const Range range = observer->Compute(kAsymmetric);
    CheckQuantile(range.min, sorted, (1 - p / 100) / 2);
    CheckQuantile(range.max, sorted, (1 + p / 100) / 2);
    const Range symmetric = observer->Compute(kSymmetric);
    CheckQuantile(std::max(-symmetric.min, symmetric.max), magnitudes, p / 100);
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    CHECK(observer->seen().min == *low);
    CHECK(observer->seen().max == *high);
  }
}

TEST_CASE("percentile is linear inside a bucket and ends at the exact extremes") {
  // 2 + i/2^17 for i < 1024 fill the bucket [2, 2 + 2^-7) evenly: the quantile f is 2 + f * 2^-7.
  std::vector<float> values;
  for (int i = 0; i < 1024; ++i) values.push_back(2.0f + static_cast<float>(i) / 131072.0f);
  auto observer = Make("percentile", 90);
  REQUIRE(observer->Observe(values).ok());
  CHECK(observer->Compute(kAsymmetric).min == Approx(2 + 0.05 / 128).epsilon(1e-9));
  CHECK(observer->Compute(kAsymmetric).max == Approx(2 + 0.95 / 128).epsilon(1e-9));
  auto all = Make("percentile", 100);
  REQUIRE(all->Observe(std::vector<float>{-1.7f, 0, 0.3f, 2.123f}).ok());
  CHECK(all->Compute(kAsymmetric).min == -1.7f);
  CHECK(all->Compute(kAsymmetric).max == 2.123f);
  auto huge = Make("percentile", 99);
  REQUIRE(huge->Observe(std::vector<float>{std::numeric_limits<float>::max()}).ok());
  CHECK(huge->Compute(kSymmetric).max == std::numeric_limits<float>::max());
  auto zeros = Make("percentile", 99);
  REQUIRE(zeros->Observe(std::vector<float>{0.0f, -0.0f}).ok());
  CHECK(zeros->Compute(kAsymmetric).max == 0);
}

TEST_CASE("percentile is the same for any order, split, merge and number of threads") {
  std::vector<float> values = NormalValues(300001, 3, 0, 1);
  auto whole = Make("percentile");
  REQUIRE(whole->Observe(values).ok());
  const Range expected = whole->Compute(kAsymmetric);

  Random(5).Shuffle(values);
  const int threads = Threads();
  for (const int count : {1, 2, 3}) {
    SetThreads(count);
    auto first = Make("percentile"), second = Make("percentile");
    const std::span<const float> all(values);
    REQUIRE(first->Observe(all.subspan(0, 100000)).ok());
    REQUIRE(second->Observe(all.subspan(100000, 7)).ok());
    REQUIRE(second->Observe(all.subspan(100007)).ok());
    first->Merge(*second);
    CHECK(first->Compute(kAsymmetric).min == expected.min);
    CHECK(first->Compute(kAsymmetric).max == expected.max);
    CHECK(first->count() == 300001);
  }
  SetThreads(threads);
}

TEST_CASE("ranges of a constant agree with a look at every element's scale") {
  const Granularity granularity =
      GENERATE(Granularity::kTensor, Granularity::kChannel, Granularity::kBlock);
  const Shape shape = GENERATE(Shape{7}, Shape{3, 5}, Shape{4, 3, 5}, Shape{2, 3, 4, 3},
                               Shape{33, 17}, Shape{2, 0, 3});
  for (int64_t axis = 0; axis < static_cast<int64_t>(shape.size()); ++axis) {
    Encoding layout{.granularity = granularity, .axis = axis, .block_size = 2};
    const auto values = NormalValues(static_cast<size_t>(NumElements(shape)), 5, 0.5f, 1);
    std::vector<Range> expected(static_cast<size_t>(NumElements(ScaleShape(layout, shape))));
    std::vector<bool> met(expected.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const auto index = static_cast<size_t>(layout.ParamIndex(shape, static_cast<int64_t>(i)));
      Range& r = expected[index];
      r.min = met[index] ? std::min<double>(r.min, values[i]) : values[i];
      r.max = met[index] ? std::max<double>(r.max, values[i]) : values[i];
      met[index] = true;
    }
    const auto ranges = TensorRanges(Tensor::FromVector(shape, values), layout);
    REQUIRE(ranges.ok());
    REQUIRE(ranges->size() == expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      CHECK((*ranges)[i].min == expected[i].min);
      CHECK((*ranges)[i].max == expected[i].max);
    }
  }
}

TEST_CASE("a constant that is not finite is a model error") {
  for (const float bad : {kNan, kInfinity}) {
    const auto ranges = TensorRanges(Tensor::FromVector<float>({2}, {1, bad}), {});
    CHECK(ranges.status().kind() == ErrorKind::kModel);
  }
}

}  // namespace roundel::quant
