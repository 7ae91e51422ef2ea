// Both scans against plain loops, at every length around the widths of vectors.

#include "lib/quant/scan.h"

#include <cmath>
#include <limits>
#include <vector>

#include "lib/base/random.h"
#include "tests/support/catch.h"

namespace roundel::quant {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kLargest = std::numeric_limits<float>::max();

void CheckScans(const std::vector<float>& x) {
  float low = kInfinity, high = -kInfinity, least = kInfinity;
  bool has_nan = false;
  for (const float value : x) {
    has_nan |= std::isnan(value);
    if (value < low) low = value;
    if (value > high) high = value;
    if (value != 0 && std::fabs(value) < least) least = std::fabs(value);
  }
  const auto n = static_cast<int64_t>(x.size());
  const Scan chunk = ScanChunk(x.data(), n), range = ScanRange(x.data(), n);
  for (const Scan& scan : {chunk, range}) {
    REQUIRE(scan.min == low);
    REQUIRE(scan.max == high);
    REQUIRE(scan.has_nan == has_nan);
  }
  if (!has_nan && least < kInfinity) REQUIRE(std::bit_cast<float>(chunk.smallest + 1) == least);
}

TEST_CASE("minimum, maximum and NaN of every length") {
  Random random(1);
  for (int64_t n = 0; n < 300; ++n) {
    std::vector<float> x(static_cast<size_t>(n));
    for (float& value : x) value = static_cast<float>(random.Normal());
    CheckScans(x);
  }
}

TEST_CASE("one value that is not finite, wherever it stands") {
  for (const float special : {kNaN, kInfinity, -kInfinity, kLargest, -kLargest})
    for (const size_t n : {70u, 64u, 128u})
      for (size_t i = 0; i < n; ++i) {
        std::vector<float> x(n, 0.5f);
        x[i] = special;
        CheckScans(x);
      }
}

TEST_CASE("large values of both signs are not taken for NaN") {
  std::vector<float> x(1000);
  Random random(2);
  for (float& value : x) value = random.Uniform() < 0.5 ? kLargest : -kLargest;
  CheckScans(x);
  for (float& value : x) value = random.Uniform() < 0.5 ? kInfinity : -kInfinity;
  CheckScans(x);
  x[999] = kNaN;
  CheckScans(x);
}

}  // namespace
}  // namespace roundel::quant
