#pragma once
// Everything that one sweep over calibration data leaves: enough to make models of any width,
// granularity and method without the data. Written to files by lib/io/statistics_json.h.

#include <map>
#include <string>
#include <vector>

#include "lib/quant/statistics.h"
#include "lib/tensor/tensor.h"

namespace roundel::quant {

// What a layer's input holds on average, over calibration data: by channel, which lies on axis 1
// for convolutions and on the last axis for matrix products.
struct InputMean {
  std::vector<double> mean;
  Shape shape;        // of one batch
  int64_t count = 0;  // values of each channel that were averaged
};

struct CalibrationStatistics {
  std::string model_hash;          // of the float model that ran
  std::string preprocessing_hash;  // of what turns files into input tensors; "": not known
  std::string data_hash;           // of that and the names of the samples; "": not known
  int64_t samples = 0;
  std::map<std::string, ValueStatistics> values;
  std::map<std::string, InputMean> input_means;

  // What runs over parts of the data saw together; kData ("part 2 ...") if they differ in what they
  // hold. All but the order of single samples, which is that of the parts, is the same to the bit
  // for any order.
  static Result<CalibrationStatistics> Merge(std::vector<CalibrationStatistics> parts);
};

}  // namespace roundel::quant
