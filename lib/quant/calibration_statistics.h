#pragma once
// The statistics of one sweep over the calibration set. They suffice to compute grids of any width,
// granularity and method without the data. lib/io/statistics_json.h writes them to files.

#include <map>
#include <string>
#include <vector>

#include "lib/quant/statistics.h"
#include "lib/tensor/tensor.h"

namespace roundel::quant {

// The mean of a layer's input over the calibration set, per channel. The channel axis is 1 for
// convolutions and the last axis for matrix products.
struct InputMean {
  std::vector<double> mean;
  Shape shape;        // of one batch
  int64_t count = 0;  // number of averaged values per channel
};

struct CalibrationStatistics {
  std::string model_hash;          // of the float model
  std::string preprocessing_hash;  // of the preprocessing settings; "": unknown
  std::string data_hash;           // of preprocessing and sample names; "": unknown
  int64_t samples = 0;
  std::map<std::string, ValueStatistics> values;
  std::map<std::string, InputMean> input_means;

  // Merges the statistics of runs over parts of the data. Errors: kData ("part 2 ...") if the parts
  // hold different values. The result does not depend on the order of the parts, bit for bit,
  // except for the order of single samples.
  static Result<CalibrationStatistics> Merge(std::vector<CalibrationStatistics> parts);
};

}  // namespace roundel::quant
