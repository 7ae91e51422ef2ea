#pragma once
// Confidence intervals of metrics that are measured on samples. A sample set is a draw from what
// the model will meet: the interval says which values of the metric this draw leaves possible.

#include <cstdint>
#include <optional>
#include <span>

namespace roundel::eval {

constexpr double kConfidence = 0.95;

struct Interval {
  double low = 0, high = 0;
};

// P(X <= k) of a binomial X of n trials with probability p. Requires n >= 0.
double BinomialCdf(int64_t k, int64_t n, double p);
// Clopper and Pearson's exact interval of a proportion. Requires 0 <= hits <= n, n > 0.
Interval ProportionInterval(int64_t hits, int64_t n, double confidence = kConfidence);

// Two models on the same n samples: `lost` samples are right with the first only, `won` with the
// second only.
// McNemar's exact test, two-sided: the probability of a split at least as uneven if no model is
// better.
double McNemarP(int64_t lost, int64_t won);
// Interval of (lost - won) / n: Tango's score interval (Statistics in Medicine 17, 1998), which
// holds 0 exactly where McNemar's statistic is below its critical value, and has a width even if
// lost = won = 0. Requires n > 0.
Interval PairedDropInterval(int64_t lost, int64_t won, int64_t n, double confidence = kConfidence);

// Fewer samples give no interval: the spread of so few says too little.
constexpr size_t kFewestUnits = 8;

struct BootstrapOptions {
  double confidence = kConfidence;
  uint64_t seed = 0;
  int replicates = 2000;
  bool positive = false;  // the ratio is positive: its logarithm is studentized
};
// Interval of sum(numerators) / sum(denominators) over independent samples, by the studentized
// bootstrap (Efron 1979; Hall 1988), which covers better than percentiles where few samples carry
// most of the sum. nullopt below kFewestUnits samples, and if the denominators sum to 0 or less.
// The same numbers and seed give the same bits.
std::optional<Interval> RatioInterval(std::span<const double> numerators,
                                      std::span<const double> denominators,
                                      const BootstrapOptions& options = {});

}  // namespace roundel::eval
