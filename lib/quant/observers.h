#pragma once
// The calibration methods. Each computes the range that a grid covers from the statistics of a
// value (lib/quant/statistics.h). Each method is one file in lib/quant/observers/.

#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/quant/distribution.h"
#include "lib/quant/grid.h"
#include "lib/quant/statistics.h"

namespace roundel::quant {

struct MethodOptions {
  // Percentage of the mass inside the range (percentile, auto). -1: 99.995, or 100 on more than 8
  // bits or if rare values count.
  double percentile = -1;
  // Percentage of the mass to clip below and above, instead of half of the rest of `percentile` on
  // either side; -1: not given. Asymmetric grids only.
  double lower_tail = -1, upper_tail = -1;
  double averaging = 0.01;  // weight of a new sample (moving_average)
  double gamma = 3;         // weight of clipping relative to rounding (sqnr)
  int64_t bins = 128;       // number of bins of |x| (kl_ort)
};

// The statistics of a value, or of several values that share a range.
struct Evidence {
  Range seen;
  // Empty for methods that do not need it.
  Distribution values;
  std::vector<SampleRange> samples;
  // Cost of a mean error relative to a random error of the same energy, in the layers that read the
  // value (observers/auto.cpp). 1: equal.
  double mean_error_weight = 1;
  // No operator averages the value on its way to a model output, so that rare values matter: they
  // may be the detections of a score map.
  bool rare_values_count = false;
};

struct Decision {
  Range range;
  std::string method;
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual StatisticsNeeds needs() const = 0;
  virtual bool weighs_mean_error() const { return false; }  // Evidence::mean_error_weight
  // The range for `grid`; {0, 0} if no value was seen. It lies within the seen values, except for
  // the mirrored side of symmetric grids and for the rounding of the zero point.
  virtual Range Compute(const Evidence& evidence, const Grid& grid) const = 0;
  // The range, and the method that it comes from: for `auto`, the chosen method.
  virtual Decision Decide(const Evidence& evidence, const Grid& grid) const {
    return {Compute(evidence, grid), name_};
  }

  const std::string& name() const { return name_; }

 private:
  friend Result<std::unique_ptr<Observer>> MakeObserver(const std::string&, const MethodOptions&);
  std::string name_;
};

// Evidence with the distribution and samples that `needs` asks for.
Evidence EvidenceOf(const ValueStatistics& statistics, StatisticsNeeds needs);

// Errors: kUsage for an unknown method (with the nearest name) and for options out of range.
Result<std::unique_ptr<Observer>> MakeObserver(const std::string& method,
                                               const MethodOptions& options = {});
std::vector<std::string> ObserverMethods();
// The methods that weights can use: those that do not need the order of samples.
std::vector<std::string> WeightMethods();

}  // namespace roundel::quant
