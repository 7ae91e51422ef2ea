#pragma once
// The calibration methods: each turns what was seen of a value into the range that a grid covers.
// One file per method in lib/quant/observers/; lib/quant/statistics.h gathers what they look at.

#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/quant/distribution.h"
#include "lib/quant/grid.h"
#include "lib/quant/statistics.h"

namespace roundel::quant {

struct MethodOptions {
  // Per cent of the mass kept (percentile, auto); -1: 99.995, and all of it on more than 8 bits or
  // where rare values count.
  double percentile = -1;
  // Per cent of the mass cut off below and above, instead of half of what `percentile` leaves on
  // either side; -1: not given. Asymmetric grids only.
  double lower_tail = -1, upper_tail = -1;
  double averaging = 0.01;  // weight of a new sample (moving_average)
  double gamma = 3;         // what clipping counts beside rounding (sqnr)
  int64_t bins = 128;       // of |x| on both sides together (kl_ort)
};

// What is known of a value, or of several that share a range.
struct Evidence {
  Range seen;
  // Empty for methods that do not need it.
  Distribution values;
  std::vector<SampleRange> samples;
  // What a mean error costs beside a random one of the same energy, in the layers that read the
  // value: see observers/auto.cpp. 1: the same.
  double mean_error_weight = 1;
  // Nothing averages the value away on its way to an output of the model: the rarest may be the
  // detections of a score map.
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
  // The range for `grid`; {0, 0} if nothing was seen. Lies within what was seen, except for
  // symmetric grids, which reach as far on the other side, and rounding of the zero point.
  virtual Range Compute(const Evidence& evidence, const Grid& grid) const = 0;
  // The range, and the method that it comes from: another one for `auto`.
  virtual Decision Decide(const Evidence& evidence, const Grid& grid) const {
    return {Compute(evidence, grid), name_};
  }

  const std::string& name() const { return name_; }

 private:
  friend Result<std::unique_ptr<Observer>> MakeObserver(const std::string&, const MethodOptions&);
  std::string name_;
};

// Distribution and samples as far as `needs` says.
Evidence EvidenceOf(const ValueStatistics& statistics, StatisticsNeeds needs);

// kUsage with the nearest name for a method that does not exist, and for options out of range.
Result<std::unique_ptr<Observer>> MakeObserver(const std::string& method,
                                               const MethodOptions& options = {});
std::vector<std::string> ObserverMethods();
// Those that need no order of samples: what weights can use.
std::vector<std::string> WeightMethods();

}  // namespace roundel::quant
