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
  int64_t samples = 0;                // to look at; 0: all
  std::vector<std::string> stats_in;  // files to merge; empty: the data is run
  std::string stats_out;              // file to write; "": none
  bool accept_mismatch = false;       // of the model or the preprocessing
};

// Statistics of `values`, and session.input_means if the recipe needs them. Files must be of
// this model as it is now, and of the same preprocessing (as far as that is known); kData if not.
Result<quant::CalibrationStatistics> GatherStatistics(Session& session,
                                                      const std::vector<std::string>& values,
                                                      const StatisticsSource& source);

// Of everything that shapes what flows: nodes, attributes, weights, opsets.
std::string ModelHash(const graph::Model& model);

}  // namespace roundel::calibration
