#include "lib/quant/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::quant;

namespace {
constexpr float kNaNf = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> RandomValues(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.Normal());
  return values;
}
}  // namespace

TEST_CASE("error sums of a small example worked by hand") {
  // r = (3, 4), o = (3, 3): signal 25, error 1, product 21, other 18.
  ErrorSums sums;
  sums.Add(std::vector<float>{3, 4}, std::vector<float>{3, 3});
  CHECK(sums.Sqnr() == Approx(13.979400086720377));  // 10 log10(25)
  CHECK(sums.Cosine() == Approx(21 / (5 * std::sqrt(18.0))));
  CHECK(sums.MaxError() == 1);
  CHECK(sums.RootMeanSquareError() == Approx(std::sqrt(0.5)));
  CHECK(sums.count() == 2);
}

TEST_CASE("error sums at their limits") {
  ErrorSums nothing;
  CHECK(std::isnan(nothing.Sqnr()));
  CHECK(std::isnan(nothing.Cosine()));
  nothing.Add({}, {});
  CHECK(nothing.count() == 0);

  ErrorSums same;
  same.Add(std::vector<float>{1, -2}, std::vector<float>{1, -2});
  CHECK(same.Sqnr() == std::numeric_limits<double>::infinity());
  CHECK(same.Cosine() == Approx(1));

  ErrorSums zeros;
  zeros.Add(std::vector<float>{0, 0}, std::vector<float>{0, 0});
  CHECK(zeros.Cosine() == 1);
  zeros.Add(std::vector<float>{0}, std::vector<float>{1});
  CHECK(zeros.Sqnr() == -std::numeric_limits<double>::infinity());
  CHECK(zeros.Cosine() == 0);

  ErrorSums odd;
  odd.Add(std::vector<float>{1, kNaNf, 2, kInf}, std::vector<float>{1, 1, kNaNf, kInf});
  CHECK(odd.count() == 1);
  CHECK(odd.not_finite() == 3);
  CHECK(odd.broken() == 1);
}

TEST_CASE("error sums do not depend on threads and agree with plain loops") {
  const std::vector<float> r = RandomValues(300001, 1), o = RandomValues(300001, 2);
  long double signal = 0, error = 0;
  for (size_t i = 0; i < r.size(); ++i) {
    signal += static_cast<long double>(r[i]) * r[i];
    const long double d = static_cast<long double>(r[i]) - o[i];
    error += d * d;
  }
  std::vector<double> results;
  for (int threads : {1, 2, 3}) {
    SetThreads(threads);
    ErrorSums sums;
    sums.Add(r, o);
    results.push_back(sums.Sqnr());
  }
  SetThreads(0);
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
  CHECK(results[0] == Approx(static_cast<double>(10 * std::log10(signal / error))).epsilon(1e-12));
}

TEST_CASE("ranks: larger first, then the smaller index, NaN last") {
  const std::vector<float> scores = {1, 3, kNaNf, 3, -kInf};
  CHECK(RankOf(scores, 1) == 0);
  CHECK(RankOf(scores, 3) == 1);
  CHECK(RankOf(scores, 0) == 2);
  CHECK(RankOf(scores, 4) == 3);
  CHECK(RankOf(scores, 2) == 4);
  CHECK(ArgMax(scores) == 1);
  CHECK(ArgMax(std::vector<float>{kNaNf, kNaNf}) == 0);
  CHECK(ArgMax(std::vector<float>{kNaNf, -5}) == 1);
  CHECK(ArgMax({}) == -1);
  // Every order has each rank once.
  const std::vector<float> many = RandomValues(50, 3);
  std::vector<bool> seen(50);
  for (int64_t i = 0; i < 50; ++i) seen[static_cast<size_t>(RankOf(many, i))] = true;
  CHECK(std::count(seen.begin(), seen.end(), true) == 50);
}

TEST_CASE("top-1 and top-5 over rows") {
  TopCounts counts;
  CHECK(std::isnan(counts.Top1Percent()));
  const std::vector<float> rows = {9, 1, 2, 3, 4, 5,   // label 0: first
                                   9, 1, 2, 3, 4, 5,   // label 2: fifth
                                   9, 1, 2, 3, 4, 5};  // label 1: sixth
  counts.Add(rows, 6, std::vector<int64_t>{0, 2, 1});
  CHECK(counts.top1 == 1);
  CHECK(counts.top5 == 2);
  CHECK(counts.Top1Percent() == Approx(100.0 / 3));
  CHECK(counts.Top5Percent() == Approx(200.0 / 3));
}
