#pragma once
// Parts of a report that describe single layers and values, for pictures: bounded by the number of
// layers, with histograms of the ten worst layers only.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace roundel::report {

// A layer with constant weights, as it is quantized.
struct LayerFacts {
  std::string node;  // Node::DisplayName, as in records
  std::string name, op_type;
  std::string input, output;          // values
  std::string grid, granularity;      // of the weights; "": float
  std::string input_grid;             // "": float, or quantized at run time
  int64_t bits = 0;                   // of a weight
  int64_t scales = 0;                 // of the weights
  int64_t weights = 0;                // number of them
  int64_t bytes = 0;                  // of codes and scales
  std::optional<double> weight_sqnr;  // dB; absent if exact or float
};

// The error at a value, of everything before it, in dB: the quantized model against the float one.
struct ValueError {
  std::string value, op_type;
  int64_t position = 0;  // of its node in execution order
  bool joins = false;    // branches meet there: the output of a block
  double sqnr = 0;       // infinite if exact
};

// A range that calibration chose, for one value or several that share it.
struct RangeFacts {
  std::vector<std::string> values;
  std::string grid, method;
  double low = 0, high = 0;                  // the ends of the grid
  double seen_low = 0, seen_high = 0;        // of the data
  double clipped_low = 0, clipped_high = 0;  // shares of the values outside of the grid
  std::optional<double> sqnr;     // of rounding and clipping, dB; absent without histogram
  std::vector<double> histogram;  // shares in equal parts of the seen range; may be empty
  int64_t histogram_samples = 0;  // that histogram and sqnr are of; 0: all
};

// The largest magnitudes per channel of a layer's weights, before and after channels were scaled:
// least, quartiles and largest, over all channels with weights.
struct ChannelRanges {
  std::string node;
  int64_t channels = 0;
  std::vector<double> before, after;
};
// Least, quartiles and largest of the values above 0; empty without such.
std::vector<double> FiveNumbers(std::vector<double> values);

struct Report;
// Drops all histograms except for those of inputs of the `count` worst layers, by the noise of
// input and weights together.
void KeepWorstHistograms(Report* report, size_t count);

}  // namespace roundel::report
