#pragma once
// Observed statistics of the float model: one sweep over the calibration set, with observers on the
// values that need a range, and the mean of every layer's input.

#include <set>
#include <string>
#include <vector>

#include "lib/quant/calibration_statistics.h"
#include "lib/session/session.h"

namespace roundel::calibration {

struct ObservationOptions {
  quant::StatisticsNeeds needs;
  // Values that only exponentials read: they always have a histogram, and infinity, which is a mask
  // there, counts as the largest float.
  std::set<std::string> scores;
  bool input_means = false;  // of all layers
  int64_t samples = 0;       // 0: all
};

// Statistics of `values`; the caller sets hashes. Memory does not depend on the number of samples,
// except for extremes of single samples on request. The result does not depend on the number of
// threads. Values without elements are absent. Errors: kData for NaN or infinity (value, sample,
// and what to do).
Result<quant::CalibrationStatistics> Observe(Session& session,
                                             const std::vector<std::string>& values,
                                             const ObservationOptions& options);

}  // namespace roundel::calibration
