#pragma once
// Calibration statistics from files instead of data, and to files for later.

#include <set>
#include <string>
#include <vector>

#include "lib/quant/calibration_statistics.h"
#include "lib/session/session.h"

namespace roundel::calibration {

struct StatisticsSource {
  quant::StatisticsNeeds needs;
  std::set<std::string> scores;       // ObservationOptions::scores; files may lack their histograms
  int64_t samples = 0;                // number of samples to run; 0: all
  std::vector<std::string> stats_in;  // files to merge; empty: runs the data
  std::string stats_out;              // file to write; "": none
  bool accept_mismatch = false;       // of the model or the preprocessing
};

// Statistics of `values`, and session.input_means if they are expected. Errors: kData if files
// are of another model than the present one, or of another preprocessing (if that is known).
Result<quant::CalibrationStatistics> GatherStatistics(Session& session,
                                                      const std::vector<std::string>& values,
                                                      const StatisticsSource& source);

// The hash of everything that determines values: nodes, attributes, weights, opsets.
std::string ModelHash(const graph::Model& model);

}  // namespace roundel::calibration
