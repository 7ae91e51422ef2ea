#include "lib/eval/intervals.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/random.h"

namespace roundel::eval {
namespace {

constexpr int kBisections = 100;  // more than a double has bits

// The x in [low, high] at which `holds` changes from true to false.
template <typename Predicate>
double Bisect(double low, double high, const Predicate& holds) {
  for (int i = 0; i < kBisections; ++i) {
    const double middle = (low + high) / 2;
    (holds(middle) ? low : high) = middle;
  }
  return (low + high) / 2;
}

// The z that a standard normal exceeds with half of 1 - confidence.
double NormalQuantile(double confidence) {
  return Bisect(0, 40, [&](double z) { return std::erfc(z / std::sqrt(2.0)) > 1 - confidence; });
}

// log of P(X = k).
double LogBinomial(int64_t k, int64_t n, double p) {
  const auto a = static_cast<double>(k), b = static_cast<double>(n - k);
  return std::lgamma(a + b + 1) - std::lgamma(a + 1) - std::lgamma(b + 1) + a * std::log(p) +
         b * std::log1p(-p);
}

// P(X <= k) for k below the mean: terms downwards, each from its neighbour, until none counts.
double LowerTail(int64_t k, int64_t n, double p) {
  double term = 1, sum = 0;
  for (int64_t i = k; i >= 0 && term > 1e-20 * sum; --i) {
    sum += term;
    term *= static_cast<double>(i) / static_cast<double>(n - i + 1) * (1 - p) / p;
  }
  return std::min(1.0, sum * std::exp(LogBinomial(k, n, p)));
}

// Whether lost - won lies more than z deviations above what a true difference of `difference`
// gives. The variance is that of the most likely table with this difference.
bool LiesAbove(double lost, double won, double n, double difference, double z) {
  const double b = (2 * n - lost + won) * difference - lost - won;
  const double c = -won * difference * (1 - difference);
  const double root = std::sqrt(std::max(0.0, b * b - 8 * n * c));
  const double won_share = (root - b) / (4 * n);
  const double variance = n * (2 * won_share + difference * (1 - difference));
  return lost - won - n * difference > z * std::sqrt(std::max(0.0, variance));
}

// The share q of sorted values lies below the result.
double SortedQuantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

// Sums from which the ratio and its standard error follow.
struct RatioSums {
  double n = 0, d = 0, nn = 0, nd = 0, dd = 0;

  void Add(double numerator, double denominator) {
    n += numerator;
    d += denominator;
    nn += numerator * numerator;
    nd += numerator * denominator;
    dd += denominator * denominator;
  }
  double Ratio() const { return n / d; }
  // Of the ratio, from the residuals numerator - ratio * denominator.
  double Error(double units) const {
    const double r = Ratio();
    const double squares = std::max(0.0, nn - 2 * r * nd + r * r * dd);
    return std::sqrt(squares * units / (units - 1)) / d;
  }
};

}  // namespace

double BinomialCdf(int64_t k, int64_t n, double p) {
  if (k < 0) return 0;
  if (k >= n || p <= 0) return 1;
  if (p >= 1) return 0;
  if (static_cast<double>(k) < static_cast<double>(n) * p) return LowerTail(k, n, p);
  return 1 - LowerTail(n - k - 1, n, 1 - p);
}

Interval ProportionInterval(int64_t hits, int64_t n, double confidence) {
  INVARIANT(0 <= hits && hits <= n && n > 0, "a proportion of nothing");
  const double tail = (1 - confidence) / 2;
  // P(X >= hits) grows with p, P(X <= hits) falls.
  const auto few = [&](double p) { return 1 - BinomialCdf(hits - 1, n, p) < tail; };
  const auto many = [&](double p) { return BinomialCdf(hits, n, p) > tail; };
  return {hits == 0 ? 0 : Bisect(0, 1, few), hits == n ? 1 : Bisect(0, 1, many)};
}

double McNemarP(int64_t lost, int64_t won) {
  return std::min(1.0, 2 * BinomialCdf(std::min(lost, won), lost + won, 0.5));
}

Interval PairedDropInterval(int64_t lost, int64_t won, int64_t n, double confidence) {
  INVARIANT(lost >= 0 && won >= 0 && n > 0 && lost + won <= n, "no table of pairs");
  const double z = NormalQuantile(confidence), size = static_cast<double>(n);
  const double a = static_cast<double>(lost), b = static_cast<double>(won);
  const double measured = (a - b) / size;
  // With the sides exchanged the upper limit is a lower one.
  return {
      Bisect(-1, measured, [&](double d) { return LiesAbove(a, b, size, d, z); }),
      -Bisect(-1, -measured, [&](double d) { return LiesAbove(b, a, size, d, z); }),
  };
}

std::optional<Interval> RatioInterval(std::span<const double> numerators,
                                      std::span<const double> denominators,
                                      const BootstrapOptions& options) {
  INVARIANT(numerators.size() == denominators.size(), "numerators without denominators");
  const size_t count = numerators.size();
  const auto units = static_cast<double>(count);
  RatioSums all;
  for (size_t i = 0; i < count; ++i) all.Add(numerators[i], denominators[i]);
  if (count < kFewestUnits || !(all.d > 0) || !std::isfinite(all.n)) return std::nullopt;
  const double ratio = all.Ratio(), error = all.Error(units);
  if (error == 0 || (options.positive && ratio <= 0)) return Interval{ratio, ratio};
  Random random(options.seed);
  std::vector<double> scores;
  for (int r = 0; r < options.replicates; ++r) {
    RatioSums drawn;
    for (size_t i = 0; i < count; ++i) {
      const size_t at = random.Below(count);
      drawn.Add(numerators[at], denominators[at]);
    }
    const double own = drawn.Ratio(), own_error = drawn.Error(units);
    const double score =
        options.positive ? std::log(own / ratio) * own / own_error : (own - ratio) / own_error;
    // A draw of the same sample over and over has no error.
    if (std::isfinite(score)) scores.push_back(score);
  }
  if (scores.size() * 2 < static_cast<size_t>(options.replicates)) return std::nullopt;
  std::sort(scores.begin(), scores.end());
  const double tail = (1 - options.confidence) / 2;
  const double low = SortedQuantile(scores, 1 - tail), high = SortedQuantile(scores, tail);
  if (options.positive)
    return Interval{ratio * std::exp(-low * error / ratio),
                    ratio * std::exp(-high * error / ratio)};
  return Interval{ratio - low * error, ratio - high * error};
}

}  // namespace roundel::eval
