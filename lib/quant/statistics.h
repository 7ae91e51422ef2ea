#pragma once
// The calibration statistics of one value: all that the methods of observers.h need, gathered in
// one sweep. Memory does not depend on the amount of data, except for the extremes of single
// samples (8 bytes each), which are kept only on request.
//
// All statistics that determine ranges are exact or integer counts: results depend neither on the
// order of batches nor on threads, and merged statistics of several runs equal those of one run,
// bit for bit. (Only the extremes of single samples have an order, that of the data.)

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

// Statistics to gather in addition to count, minimum and maximum.
struct StatisticsNeeds {
  bool histogram = false;  // and the number of zeros
  bool samples = false;    // the extremes of single samples
  bool moments = false;    // mean and second moment; requires the histogram
  friend bool operator==(const StatisticsNeeds&, const StatisticsNeeds&) = default;
};

class ValueStatistics {
 public:
  explicit ValueStatistics(StatisticsNeeds needs = {});

  // Adds values: `parts` runs of equal length, and the extremes of each run are kept. Otherwise the
  // order is irrelevant. Errors: kData for NaN or infinity; the object is then unusable.
  Status Observe(std::span<const float> values, int64_t parts = 1);
  // Appends the statistics of later samples of the same value. Requires equal needs.
  void Append(const ValueStatistics& later);
  // Adds the statistics of another value on the same samples: both share a range.
  void Unite(const ValueStatistics& other);

  const StatisticsNeeds& needs() const { return needs_; }
  int64_t count() const { return count_; }
  Range seen() const;  // exact; {0, 0} if no value was seen

  // With needs().histogram:
  int64_t zeros() const { return zeros_; }
  const Histogram& histogram() const;
  // With needs().moments: sums of 2^18 values each, in double, added exactly.
  double mean() const;
  double second_moment() const;  // E[x^2]

  // With needs().samples, in the order of the data. A value whose first axis is not the sample axis
  // has one entry per batch.
  const std::vector<SampleRange>& samples() const { return samples_; }
  std::vector<SampleRange>& samples() { return samples_; }

  // Totals of a statistics file (lib/io/statistics_json.h). `sum`, `squares`: over all values.
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
