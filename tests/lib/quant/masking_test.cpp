#include "lib/quant/masking.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/lib/quant/observer_support.h"

namespace roundel::quant {
namespace {

// Scores, and the same number of them with `mask` added.
std::vector<float> Masked(const std::vector<float>& scores, float mask) {
  std::vector<float> values = scores;
  for (const float score : scores) values.push_back(score + mask);
  return values;
}

}  // namespace

TEST_CASE("what lies above an attention mask is found, whatever the mask") {
  const std::vector<float> scores = NormalValues(5000, 1, -3, 8);
  const double least = *std::min_element(scores.begin(), scores.end());
  for (const float mask :
       {-400.0f, -1e4f, -65504.0f, -1e9f, std::numeric_limits<float>::lowest()}) {
    INFO(mask);
    const std::vector<float> values = Masked(scores, mask);
    CHECK(LeastUnmasked(Distribution::Of(values)) == least);
    const Distribution binned = Distribution::Of(StatisticsOf(values));
    REQUIRE(LeastUnmasked(binned));
    CHECK(*LeastUnmasked(binned) == Approx(least).epsilon(1.0 / 256));
    // Nothing of the scores is lost, and none of the others is left.
    CHECK(binned.From(*LeastUnmasked(binned)).mass() == 5000);
  }
}

TEST_CASE("where a mask is known to enter, a mask of -100 beside wide scores is found") {
  std::vector<float> scores = NormalValues(5000, 5, 0, 6);
  for (float& x : scores) x = std::clamp(x, -20.0f, 20.0f);
  const double least = *std::min_element(scores.begin(), scores.end());
  const Distribution values = Distribution::Of(Masked(scores, -100));
  CHECK_FALSE(LeastUnmasked(values));
  CHECK(LeastUnmasked(values, true) == least);
  CHECK_FALSE(LeastUnmasked(Distribution::Of(scores), true));
  for (float& x : scores) x = -x;
  const double most = *std::max_element(scores.begin(), scores.end());
  CHECK(MostUnmasked(Distribution::Of(Masked(scores, 100)), true) == most);
}

TEST_CASE("what lies below a mask that is subtracted is found") {
  std::vector<float> values = NormalValues(5000, 1, -3, 2);
  const double most = *std::max_element(values.begin(), values.end());
  CHECK_FALSE(MostUnmasked(Distribution::Of(values)));
  for (const float mask : {200.0f, 1e9f, std::numeric_limits<float>::max()})
    CHECK(MostUnmasked(Distribution::Of(Masked(values, mask))) == most);
}

TEST_CASE("values that are merely far apart are not taken for masked ones") {
  std::vector<float> outlier = NormalValues(5000, 2, 0, 5), distances, wide = outlier;
  outlier.push_back(50000);
  CHECK_FALSE(LeastUnmasked(Distribution::Of(outlier)));
  for (int i = 0; i < 4096; ++i) distances.push_back(-0.84f * static_cast<float>(i));
  CHECK_FALSE(LeastUnmasked(Distribution::Of(distances)));
  for (float& x : wide) x *= 1000;  // spans some 40,000: 10,000 below is no mask
  wide.push_back(*std::min_element(wide.begin(), wide.end()) - 10000);
  CHECK_FALSE(LeastUnmasked(Distribution::Of(wide)));
  CHECK_FALSE(LeastUnmasked(Distribution::Of(NormalValues(5000, 3, -10000, 1))));
  CHECK_FALSE(LeastUnmasked(Distribution()));
}

TEST_CASE("evidence from a value on is that of the values above it alone") {
  const std::vector<float> scores = NormalValues(400, 4, 1, 3);
  const Evidence all =
      EvidenceOf(StatisticsOf(Masked(scores, -1e4f), 2), {.histogram = true, .samples = true});
  const double least = *LeastUnmasked(all.values);
  const Evidence rest = FromValue(all, least),
                 alone = EvidenceOf(StatisticsOf(scores), {.histogram = true});
  CHECK(rest.seen.max == alone.seen.max);
  CHECK(rest.seen.min == Approx(alone.seen.min).epsilon(1.0 / 256));
  for (const double share : {0.01, 0.25, 0.5, 0.99})
    CHECK(rest.values.Quantile(share * 400) ==
          Approx(alone.values.Quantile(share * 400)).epsilon(1.0 / 128));
  // The second sample is masked as a whole.
  CHECK(rest.samples.at(0).max == all.samples.at(0).max);
  CHECK(rest.samples.at(1) == SampleRange{static_cast<float>(least), static_cast<float>(least)});
}

TEST_CASE("a mask of as many values as levels adds up to less than a step of a probability") {
  for (const int bits : {4, 8, 16}) {
    const double levels = std::exp2(bits), masked = std::exp(-MaskReach({.bits = bits}));
    CHECK(levels * masked <= 1.000001 / levels);
  }
}

}  // namespace roundel::quant
