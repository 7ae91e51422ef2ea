#include "lib/quant/channel_mean.h"

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "tests/support/catch.h"

namespace roundel::quant {
namespace {

// Plain double sums over [outer, channels, inner].
std::vector<double> PlainMean(const std::vector<float>& values, int64_t channels, int64_t inner) {
  std::vector<double> sum(static_cast<size_t>(channels));
  for (size_t i = 0; i < values.size(); ++i)
    sum[static_cast<int64_t>(i) / inner % channels] += values[i];
  for (double& s : sum) s *= static_cast<double>(channels) / static_cast<double>(values.size());
  return sum;
}

std::vector<float> Values(size_t n) {
  Random random(1);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(100 + random.Normal());
  return values;
}

TEST_CASE("means of channels on the last axis and in the middle") {
  for (const int64_t inner : {1, 7}) {
    constexpr int64_t kOuter = 3000, kChannels = 24;
    const auto values = Values(static_cast<size_t>(kOuter * kChannels * inner));
    const std::vector<double> expected = PlainMean(values, kChannels, inner);
    ChannelMean whole, parts;
    whole.Observe(values, kOuter, kChannels, inner);
    const size_t cut = static_cast<size_t>(1000 * kChannels * inner);
    parts.Observe({values.data(), cut}, 1000, kChannels, inner);
    parts.Observe({values.data() + cut, values.size() - cut}, kOuter - 1000, kChannels, inner);
    CHECK(whole.count() == kOuter * inner);
    CHECK(parts.count() == whole.count());
    for (size_t c = 0; c < expected.size(); ++c) {
      CHECK(whole.mean()[c] == Approx(expected[c]).epsilon(1e-6));
      CHECK(parts.mean()[c] == Approx(expected[c]).epsilon(1e-6));
    }
  }
}

TEST_CASE("means do not depend on the number of threads") {
  const auto values = Values(100000 * 3);
  const int threads = Threads();
  std::vector<std::vector<double>> means;
  for (const int n : {1, 2, 3}) {
    SetThreads(n);
    ChannelMean mean;
    mean.Observe(values, 100000, 3, 1);
    means.push_back(mean.mean());
  }
  SetThreads(threads);
  CHECK(means[0] == means[1]);
  CHECK(means[0] == means[2]);
}

TEST_CASE("nothing seen has no channels, empty batches count nothing") {
  ChannelMean mean;
  CHECK(mean.mean().empty());
  mean.Observe({}, 0, 5, 3);
  CHECK(mean.count() == 0);
  CHECK(mean.mean() == std::vector<double>(5, 0.0));
}

}  // namespace
}  // namespace roundel::quant
