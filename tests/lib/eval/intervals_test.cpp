#include "lib/eval/intervals.h"

#include <bit>
#include <cmath>
#include <vector>

#include "lib/base/random.h"
#include "tests/support/catch.h"

using namespace roundel;
using namespace roundel::eval;

namespace {

// P(X <= k) by walking through all 2^n outcomes.
double CdfByEnumeration(int k, int n, double p) {
  double sum = 0;
  for (unsigned outcome = 0; outcome < (1u << n); ++outcome) {
    const int hits = std::popcount(outcome);
    if (hits <= k) sum += std::pow(p, hits) * std::pow(1 - p, n - hits);
  }
  return sum;
}

// The share of a random table of pairs: `lost` and `won` of n with the given probabilities.
struct Table {
  int64_t lost = 0, won = 0;
};
Table DrawTable(int64_t n, double lose, double win, Random* random) {
  Table table;
  for (int64_t i = 0; i < n; ++i) {
    const double u = random->Uniform();
    table.lost += u < lose;
    table.won += u >= lose && u < lose + win;
  }
  return table;
}

}  // namespace

TEST_CASE("the binomial distribution is that of an enumeration of all outcomes") {
  for (const int n : {1, 2, 7, 12})
    for (const double p : {0.5, 0.01, 0.3, 0.97})
      for (int k = -1; k <= n; ++k) {
        INFO(k << " of " << n << ", p " << p);
        CHECK(std::fabs(BinomialCdf(k, n, p) - CdfByEnumeration(k, n, p)) < 1e-13);
      }
  CHECK(BinomialCdf(3, 10, 0) == 1);
  CHECK(BinomialCdf(3, 10, 1) == 0);
  CHECK(BinomialCdf(0, 0, 0.5) == 1);
  // Symmetric around its middle, also where factorials overflow.
  CHECK(std::fabs(BinomialCdf(499999, 1000000, 0.5) + BinomialCdf(500000, 1000000, 0.5) - 1) <
        1e-8);
}

TEST_CASE("exact intervals of proportions are the textbooks' and invert the distribution") {
  // Rule of three, exactly: 1 - 0.025^(1/n).
  CHECK(std::fabs(ProportionInterval(0, 10).high - (1 - std::pow(0.025, 0.1))) < 1e-12);
  CHECK(ProportionInterval(0, 10).low == 0);
  CHECK(ProportionInterval(10, 10).high == 1);
  // Clopper and Pearson, 10 of 100: 4.90 % to 17.62 %.
  CHECK(std::fabs(ProportionInterval(10, 100).low - 0.0490) < 5e-5);
  CHECK(std::fabs(ProportionInterval(10, 100).high - 0.1762) < 5e-5);
  for (const int k : {1, 4, 9}) {
    const Interval interval = ProportionInterval(k, 12, 0.9);
    CHECK(std::fabs(1 - CdfByEnumeration(k - 1, 12, interval.low) - 0.05) < 1e-9);
    CHECK(std::fabs(CdfByEnumeration(k, 12, interval.high) - 0.05) < 1e-9);
  }
}

TEST_CASE("McNemar's test counts the splits that are at least as uneven") {
  CHECK(McNemarP(0, 0) == 1);
  CHECK(McNemarP(4, 4) == 1);
  CHECK(std::fabs(McNemarP(0, 5) - 2.0 / 32) < 1e-15);
  CHECK(std::fabs(McNemarP(6, 16) - 0.0525) < 5e-5);
  for (const int n : {3, 8, 11})
    for (int lost = 0; lost <= n; ++lost) {
      double splits = 0;
      for (unsigned outcome = 0; outcome < (1u << n); ++outcome) {
        const int side = std::popcount(outcome);
        splits += std::abs(2 * side - n) >= std::abs(2 * lost - n);
      }
      INFO(lost << " of " << n);
      CHECK(std::fabs(McNemarP(lost, n - lost) - splits / std::pow(2, n)) < 1e-12);
    }
}

TEST_CASE("intervals of paired drops are those of Tango's score test") {
  // Airway responsiveness before and after a transplantation (Bentur 2009; Fagerland and others'
  // book gives -0.517 to -0.026).
  const Interval bentur = PairedDropInterval(1, 7, 21);
  CHECK(std::fabs(bentur.low + 0.517) < 5e-4);
  CHECK(std::fabs(bentur.high + 0.026) < 5e-4);
  // Without a changed sample: z^2 / (n + z^2) to both sides.
  constexpr double kZ = 1.959963984540054;
  for (const int n : {10, 744}) {
    const Interval none = PairedDropInterval(0, 0, n);
    CHECK(std::fabs(none.high - kZ * kZ / (n + kZ * kZ)) < 1e-9);
    CHECK(std::fabs(none.low + none.high) < 1e-12);
  }
  CHECK(std::fabs(PairedDropInterval(5, 0, 5).high - 1) < 1e-12);
  CHECK(std::fabs(PairedDropInterval(0, 5, 5).low + 1) < 1e-12);
}

TEST_CASE("a limit of a paired drop is where the likeliest table is just as far as allowed") {
  constexpr double kZ = 1.959963984540054;
  for (const auto& [lost, won, n] :
       std::vector<std::tuple<int, int, int>>{{40, 20, 160}, {3, 1, 30}, {12, 2, 50}, {0, 4, 25}}) {
    const Interval interval = PairedDropInterval(lost, won, n);
    for (const double d : {interval.low, interval.high}) {
      // The likeliest share of won samples among tables with the difference d, by trying all.
      double best = -1e300, share = 0;
      for (int i = 0; i <= 400000; ++i) {
        const double w = i / 400000.0, l = w + d, rest = 1 - w - l;
        if (l < 0 || rest < 0) continue;
        const auto term = [](double k, double p) { return k == 0 ? 0 : k * std::log(p); };
        const double likelihood = term(lost, l) + term(won, w) + term(n - lost - won, rest);
        if (likelihood > best) best = likelihood, share = w;
      }
      const double variance = n * (2 * share + d - d * d);
      INFO(lost << " " << won << " " << n << " at " << d);
      CHECK(std::fabs(std::fabs(lost - won - n * d) / std::sqrt(variance) - kZ) < 1e-2);
    }
    // The interval leaves 0 out exactly where McNemar's statistic is beyond its critical value.
    const bool apart = std::pow(lost - won, 2) > kZ * kZ * (lost + won);
    CHECK((interval.low > 0 || interval.high < 0) == apart);
  }
}

TEST_CASE("intervals of paired drops cover the true drop in 95 of 100 draws") {
  Random random(5);
  for (const auto& [n, lose, win] : std::vector<std::tuple<int, double, double>>{
           {100, 0.04, 0.02}, {744, 0.02, 0.01}, {50, 0.2, 0.1}, {800, 0.005, 0.004}}) {
    int covered = 0;
    constexpr int kDraws = 2000;
    for (int i = 0; i < kDraws; ++i) {
      const Table table = DrawTable(n, lose, win, &random);
      const Interval interval = PairedDropInterval(table.lost, table.won, n);
      covered += interval.low <= lose - win && lose - win <= interval.high;
    }
    INFO(n << ": " << covered);
    CHECK(covered >= 0.935 * kDraws);
    CHECK(covered <= 0.985 * kDraws);
  }
}

TEST_CASE("bootstrap intervals of ratios are deterministic, and shrink to a point without spread") {
  std::vector<double> n, d;
  for (int i = 0; i < 40; ++i) n.push_back(1 + (i * 7) % 5), d.push_back(4 + i % 3);
  const Interval a = *RatioInterval(n, d), b = *RatioInterval(n, d);
  CHECK((a.low == b.low && a.high == b.high));
  CHECK(RatioInterval(n, d, {.seed = 1})->low != a.low);
  CHECK(RatioInterval(n, d, {.confidence = 0.5})->low > a.low);
  const std::vector<double> ones(20, 1), threes(20, 3), zeros(20, 0);
  CHECK(RatioInterval(threes, ones)->low == 3);
  CHECK(RatioInterval(threes, ones, {.positive = true})->high == 3);
  CHECK(RatioInterval(zeros, ones, {.positive = true})->high == 0);  // no error at all
  CHECK_FALSE(RatioInterval(ones, zeros));
  CHECK_FALSE(RatioInterval(std::vector<double>(7, 1), std::vector<double>(7, 2)));
  CHECK_FALSE(RatioInterval({}, {}));
  // Scaling the numerators scales the interval.
  std::vector<double> tenfold = n;
  for (double& x : tenfold) x *= 10;
  CHECK(std::fabs(RatioInterval(tenfold, d)->high - 10 * a.high) < 1e-9);
  const Interval positive = *RatioInterval(n, d, {.positive = true});
  CHECK(std::fabs(RatioInterval(d, n, {.positive = true})->low - 1 / positive.high) < 0.03);
}

// Means of the normal distribution: the studentized bootstrap must come near Student's interval.
TEST_CASE("the bootstrap of a mean comes near Student's interval") {
  Random random(3);
  const std::vector<double> ones(30, 1);
  double ratio = 0;
  for (int i = 0; i < 20; ++i) {
    std::vector<double> x;
    double sum = 0, squares = 0;
    for (int k = 0; k < 30; ++k) {
      x.push_back(random.Normal());
      sum += x.back();
      squares += x.back() * x.back();
    }
    constexpr double kT29 = 2.04523;  // 97.5 % of Student's distribution with 29 degrees
    const double half = kT29 * std::sqrt((squares - sum * sum / 30) / 29 / 30);
    const Interval interval = *RatioInterval(x, ones);
    ratio += (interval.high - interval.low) / (2 * half) / 20;
  }
  CHECK(ratio > 0.95);
  CHECK(ratio < 1.1);
}

// Energies of errors are skewed: a few samples carry most of the sum.
TEST_CASE("bootstrap intervals of ratios cover the true ratio in about 95 of 100 draws") {
  Random random(11);
  for (const auto& [units, sigma, least] : std::vector<std::tuple<int, double, double>>{
           {16, 0.5, 0.90}, {100, 1.0, 0.905}, {400, 1.0, 0.92}}) {
    // The numerator is the denominator times an independent factor of mean exp(sigma^2 / 2).
    const double truth = std::exp(sigma * sigma / 2);
    constexpr int kDraws = 400;
    int covered = 0;
    for (int i = 0; i < kDraws; ++i) {
      std::vector<double> n, d;
      for (int k = 0; k < units; ++k) {
        d.push_back(std::exp(0.3 * random.Normal()));
        n.push_back(d.back() * std::exp(sigma * random.Normal()));
      }
      const Interval interval = *RatioInterval(
          n, d, {.seed = static_cast<uint64_t>(i), .replicates = 500, .positive = true});
      covered += interval.low <= truth && truth <= interval.high;
    }
    INFO(units << " samples, sigma " << sigma << ": " << covered);
    CHECK(covered >= least * kDraws);
    CHECK(covered <= 0.98 * kDraws);
  }
}
