#pragma once
// What flows through the float model: one sweep over the data with observers on the values that need a
// range, and the mean of every layer's input.

#include <set>
#include <string>
#include <vector>

#include "lib/quant/calibration_statistics.h"
#include "lib/session/session.h"

namespace roundel::calibration {

struct ObservationOptions {
  quant::StatisticsNeeds needs;
  // Values that only exponentials see: they have a histogram in any case, and infinity, which means a
  // mask there, counts as the largest float.
  std::set<std::string> scores;
  bool input_means = false;  // of all layers
  int64_t samples = 0;       // 0: all
};

// Statistics of `values`; hashes are left to the caller. Memory does not grow with the number of
// samples, but for the extremes of single samples if they are wanted; the result does not depend on
// the number of threads. kData for NaN or infinity (which value, which sample, what to do). Values
// that received nothing are left out.
Result<quant::CalibrationStatistics> Observe(Session& session,
                                             const std::vector<std::string>& values,
                                             const ObservationOptions& options);

}  // namespace roundel::calibration
