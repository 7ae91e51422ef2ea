#include "lib/quant/observers.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/quant/tensor_ranges.h"
#include "tests/lib/quant/observer_support.h"

namespace roundel::quant {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const Grid kAsymmetric{.bits = 8};
const Grid kSymmetric{.bits = 8, .is_signed = true, .symmetric = true};

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
  CHECK(ObserverMethods() == std::vector<std::string>{"min_max", "moving_average", "mean_min_max",
                                                      "percentile", "mse", "omse", "sqnr", "aciq",
                                                      "kl", "entropy", "kl_ort", "kl_tensorrt",
                                                      "auto"});
  CHECK(WeightMethods() == std::vector<std::string>{"min_max", "percentile", "mse", "omse", "sqnr",
                                                    "aciq", "kl", "entropy", "kl_ort",
                                                    "kl_tensorrt", "auto", "abs_mean", "twn"});
  const auto wrong = MakeObserver("percentil");
  CHECK(wrong.status().kind() == ErrorKind::kUsage);
  CHECK(wrong.status().message() ==
        "unknown calibration method 'percentil', did you mean 'percentile'?");
  CHECK(MakeObserver("zzzzzzzzzzz")
            .status()
            .message()
            .starts_with("unknown calibration method 'zzzzzzzzzzz'; known: min_max, "));
  const double nan = kNan;
  for (const MethodOptions& bad :
       {MethodOptions{.percentile = 50}, MethodOptions{.percentile = 100.5},
        MethodOptions{.percentile = nan}, MethodOptions{.lower_tail = 50},
        MethodOptions{.upper_tail = -0.5}, MethodOptions{.averaging = 0},
        MethodOptions{.gamma = nan}, MethodOptions{.bins = 64}})
    CHECK(MakeObserver("percentile", bad).status().kind() == ErrorKind::kUsage);
}

TEST_CASE("min_max gives what was seen, scale and zero point as ONNX Runtime computes them") {
  const Range range = RangeFor("min_max", {0.5f, -1.3f, 2.7f, 0}, kAsymmetric);
  CHECK(range.min == -1.3f);
  CHECK(range.max == 2.7f);
  // numpy: scale = float32((2.7f - -1.3f) / 255), zero point = round(0 + 1.3f / scale) =
  // round(82.875)
  const QParams p = ParamsFromRange(range.min, range.max, kAsymmetric);
  CHECK(p.scale == 0.01568627543747425f);
  CHECK(p.zero_point == 83);
  // Symmetric int8: 2 * 2.7f / 255.
  const QParams s = ParamsFromRange(range.min, range.max, kSymmetric);
  CHECK(s.scale == 0.02117647044f);
}

TEST_CASE("moving_average and mean_min_max follow the samples") {
  // Four samples of two values.
  const std::vector<float> values = {-1, 4, 0, 8, -3, 2, 1, 6};
  const ValueStatistics statistics = StatisticsOf(values, 4);
  const auto range = [&](const std::string& method, const MethodOptions& options = {}) {
    const auto observer = Make(method, options);
    return observer->Compute(EvidenceOf(statistics, observer->needs()), kAsymmetric);
  };
  double min = -1, max = 4;
  for (const auto& [low, high] : {std::pair{-1.0, 4.0}, {0.0, 8.0}, {-3.0, 2.0}, {1.0, 6.0}}) {
    min += 0.25 * (low - min);
    max += 0.25 * (high - max);
  }
  CHECK(range("moving_average", {.averaging = 0.25}).min == Approx(min).epsilon(1e-12));
  CHECK(range("moving_average", {.averaging = 0.25}).max == Approx(max).epsilon(1e-12));
  CHECK(range("moving_average", {.averaging = 1}).max == 6);  // the last one
  CHECK(range("mean_min_max").min == -0.75);
  CHECK(range("mean_min_max").max == 5);
}

TEST_CASE("every method copes with nothing, zeros, constants and extremes") {
  const float huge = std::numeric_limits<float>::max();
  const float tiny = std::numeric_limits<float>::denorm_min();
  const std::vector<std::vector<float>> all = {{},
                                               {0, 0, -0.0f},
                                               {3},
                                               {-3, -3, -3},
                                               {tiny, 0},
                                               {-tiny},
                                               {huge, -huge},
                                               {huge, tiny, 0, 1},
                                               {1e-38f, 1},
                                               {0, 0, 0, 5},
                                               {-1, 0, 1e-30f}};
  for (const std::string& method : ObserverMethods()) {
    for (const std::vector<float>& values : all) {
      for (const int bits : {2, 4, 8, 16}) {
        for (const Grid& grid :
             {Grid{.bits = bits}, Grid{.bits = bits, .is_signed = true, .symmetric = true},
              Grid{.bits = bits, .symmetric = true}}) {
          INFO(method << ' ' << grid.Name() << ' '
                      << Catch::StringMaker<std::vector<float>>::convert(values));
          const Range range = RangeFor(method, values, grid);
          CHECK(std::isfinite(range.min));
          CHECK(std::isfinite(range.max));
          CHECK(range.min <= range.max);
          const QParams p = ParamsFromRange(range.min, range.max, grid);
          CHECK(p.scale > 0);
          CHECK(std::isfinite(p.scale));
        }
      }
    }
  }
}

TEST_CASE("ranges stay within what was seen and are the same for any order and split") {
  std::vector<float> values = LaplaceValues(30000, 3, 1);
  for (float& v : values) v += 0.2f;
  for (const std::string& method : ObserverMethods()) {
    const auto observer = Make(method);
    if (observer->needs().samples) continue;
    const ValueStatistics whole = StatisticsOf(values);
    std::vector<float> shuffled = values;
    Random(5).Shuffle(shuffled);
    const std::vector<float> head(shuffled.begin(), shuffled.begin() + 7777);
    const std::vector<float> tail(shuffled.begin() + 7777, shuffled.end());
    ValueStatistics parts = StatisticsOf(tail);
    parts.Append(StatisticsOf(head));
    for (const Grid& grid : {kAsymmetric, kSymmetric}) {
      INFO(method);
      const Range a = observer->Compute(EvidenceOf(whole, observer->needs()), grid);
      const Range b = observer->Compute(EvidenceOf(parts, observer->needs()), grid);
      CHECK(a.min == b.min);
      CHECK(a.max == b.max);
      const double reach = std::max(-whole.seen().min, whole.seen().max);
      const Range bounds = grid.symmetric ? Range{-reach, reach} : whole.seen();
      const double step = (bounds.max - bounds.min) / 255;
      CHECK(a.min >= bounds.min - step);
      CHECK(a.max <= bounds.max + step);
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
    const Range range = RangeFor("percentile", values, kAsymmetric, {.percentile = p});
    CheckQuantile(range.min, sorted, (1 - p / 100) / 2);
    CheckQuantile(range.max, sorted, (1 + p / 100) / 2);
    const Range symmetric = RangeFor("percentile", values, kSymmetric, {.percentile = p});
    CheckQuantile(std::max(-symmetric.min, symmetric.max), magnitudes, p / 100);
    const Range tails = RangeFor("percentile", values, kAsymmetric,
                                 {.percentile = p, .lower_tail = 2, .upper_tail = 0.5});
    CheckQuantile(tails.min, sorted, 0.02);
    CheckQuantile(tails.max, sorted, 0.995);
  }
}

TEST_CASE("percentile gives up no rare values that count unless the error of all falls by it") {
  std::vector<float> values = NormalValues(100003, 9, 0.0f, 1.0f);
  for (size_t i = 0; i < 2; ++i) values[i * 1000] = 40;  // the detections of a score map
  const auto observer = Make("percentile", {});
  Evidence evidence = EvidenceOf(StatisticsOf(values), observer->needs());
  const Range cut = observer->Compute(evidence, kAsymmetric);
  CHECK(cut.max < 10);
  evidence.rare_values_count = true;
  const Range kept = observer->Compute(evidence, kAsymmetric);
  // No worse by the plain sum of squares than the whole range, the share, and a scan of upper ends.
  const double error = RawError(values, kept, kAsymmetric);
  CHECK(error <= 1.01 * RawError(values, cut, kAsymmetric));
  for (double high = 2; high <= 40; high += 0.5)
    CHECK(error <= 1.02 * RawError(values, {cut.min, high}, kAsymmetric));
  CHECK(kept.max > 2 * cut.max);
  // A given share is used unchanged.
  CHECK(Make("percentile", {.percentile = 99.995})->Compute(evidence, kAsymmetric).max == cut.max);
}

TEST_CASE("percentile cuts nothing off on fine grids unless it is told to") {
  const std::vector<float> values = NormalValues(100003, 8, 0.0f, 1.0f);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  Grid fine = kAsymmetric;
  fine.bits = 16;
  CHECK(RangeFor("percentile", values, kAsymmetric).max < *high);
  CHECK(RangeFor("percentile", values, fine).max == *high);
  CHECK(RangeFor("percentile", values, fine).min == *low);
  CHECK(RangeFor("percentile", values, fine, {.percentile = 99}).max < *high);
}

TEST_CASE("percentile is linear inside a bucket and ends at the exact extremes") {
  // 2 + i/2^17 for i < 1024 fill the bucket [2, 2 + 2^-7) evenly up to its last value.
  std::vector<float> values;
  for (int i = 0; i < 1024; ++i) values.push_back(2.0f + static_cast<float>(i) / 131072.0f);
  const double width = 1023.0 / 131072;
  const Range range = RangeFor("percentile", values, kAsymmetric, {.percentile = 90});
  CHECK(range.min == Approx(2 + 0.05 * width).epsilon(1e-9));
  CHECK(range.max == Approx(2 + 0.95 * width).epsilon(1e-9));
  const Range all =
      RangeFor("percentile", {-1.7f, 0, 0.3f, 2.123f}, kAsymmetric, {.percentile = 100});
  CHECK(all.min == -1.7f);
  CHECK(all.max == 2.123f);
  const float huge = std::numeric_limits<float>::max();
  CHECK(RangeFor("percentile", {huge}, kSymmetric, {.percentile = 99}).max == huge);
  CHECK(RangeFor("percentile", {0.0f, -0.0f}, kAsymmetric).max == 0);
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

TEST_CASE("weights use the same methods, per tensor, channel and block") {
  const Granularity granularity =
      GENERATE(Granularity::kTensor, Granularity::kChannel, Granularity::kBlock);
  const Shape shape{6, 10, 3};
  const auto values = LaplaceValues(180, 9, 0.1f);
  for (const std::string& method : WeightMethods()) {
    for (int64_t axis = 0; axis < 3; ++axis) {
      Encoding layout{
          .grid = kSymmetric, .granularity = granularity, .axis = axis, .block_size = 4};
      layout.grid.bits = 4;
      std::vector<std::vector<float>> runs(
          static_cast<size_t>(NumElements(ScaleShape(layout, shape))));
      for (int64_t i = 0; i < 180; ++i)
        runs[static_cast<size_t>(layout.ParamIndex(shape, i))].push_back(
            values[static_cast<size_t>(i)]);
      const auto observer = Make(method);
      const auto ranges = TensorRanges(Tensor::FromVector(shape, values), layout, *observer);
      REQUIRE(ranges.ok());
      REQUIRE(ranges->size() == runs.size());
      for (size_t i = 0; i < runs.size(); ++i) {
        const auto [low, high] = std::minmax_element(runs[i].begin(), runs[i].end());
        Evidence evidence{.seen = {*low, *high}, .values = Distribution::Of(runs[i])};
        const Range expected = observer->Compute(evidence, layout.grid);
        CHECK((*ranges)[i].min == expected.min);
        CHECK((*ranges)[i].max == expected.max);
        const bool searches = method == "mse" || method == "omse" || method == "auto";
        if (searches)
          CHECK(RawError(runs[i], (*ranges)[i], layout.grid) <=
                RawError(runs[i], evidence.seen, layout.grid) * (1 + 1e-6));
      }
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
