#pragma once
// What calibration keeps of one value of the model: everything that any method of observers.h asks
// for, gathered in one sweep. Memory is constant however much data flows by, but for the extremes
// of single samples (8 bytes each), which are kept only if they are wanted.
//
// Everything that ranges are made of is exact or counted in integers: results depend neither on the
// order of the batches nor on threads, and merging what several runs saw gives the same bits as one
// run. (Only the extremes of single samples have an order: that of the data.)

#include <optional>
#include <span>
#include <vector>

#include "lib/base/status.h"
#include "lib/quant/exact_sum.h"
#include "lib/quant/histogram.h"

namespace roundel::quant {

struct Range {
  double min = 0, max = 0;
};

struct SampleRange {
  float min = 0, max = 0;
  friend bool operator==(const SampleRange&, const SampleRange&) = default;
};

// Beyond count, minimum and maximum, which are always there.
struct StatisticsNeeds {
  bool histogram = false;  // with the number of zeros
  bool samples = false;    // the extremes of single samples
  bool moments = false;    // mean and second moment; with the histogram only
  friend bool operator==(const StatisticsNeeds&, const StatisticsNeeds&) = default;
};

class ValueStatistics {
 public:
  explicit ValueStatistics(StatisticsNeeds needs = {});

  // Values in any order but for this: they are `parts` runs of equal length, each of which leaves
  // its own extremes. Fails with kData on NaN or infinity, and is then of no use any more.
  Status Observe(std::span<const float> values, int64_t parts = 1);
  // Adds what another one saw of the same value, after this; both have the same needs.
  void Append(const ValueStatistics& later);
  // Adds what another one saw of another value on the same samples: they share a range.
  void Unite(const ValueStatistics& other);

  const StatisticsNeeds& needs() const { return needs_; }
  int64_t count() const { return count_; }
  Range seen() const;  // exact; {0, 0} if nothing was

  // With needs().histogram:
  int64_t zeros() const { return zeros_; }
  const Histogram& histogram() const;
  // With needs().moments: sums of 2^18 values at a time, in double, added up without any rounding.
  double mean() const;
  double second_moment() const;  // E[x^2]

  // With needs().samples, in the order of the data. A value whose first axis is not that of the
  // samples has an entry per batch.
  const std::vector<SampleRange>& samples() const { return samples_; }
  std::vector<SampleRange>& samples() { return samples_; }

  // What a file tells (lib/io/statistics_json.h). `sum` and `squares` are of all values.
  struct Totals {
    int64_t count = 0, zeros = 0;
    double sum = 0, squares = 0;
    SampleRange seen;
  };
  Totals totals() const;
  static ValueStatistics Restore(StatisticsNeeds needs, const Totals& totals);
  Histogram& mutable_histogram();

 private:
  Status ObserveHistogram(std::span<const float> values);
  void AddTotals(const ValueStatistics& other);

  StatisticsNeeds needs_;
  int64_t count_ = 0, zeros_ = 0;
  Scan scan_;
  ExactSum sum_, squares_;
  std::optional<Histogram> histogram_;
  std::vector<SampleRange> samples_;
};

}  // namespace roundel::quant
