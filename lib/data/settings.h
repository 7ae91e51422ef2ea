#pragma once
// The parsed data section, with presets applied.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/recipe/params.h"
#include "lib/tensor/dtype.h"

namespace roundel::data {

// Order of the axes after the batch axis.
enum class Layout { kAuto, kNchw, kNhwc };

// What one sample is. If the model mixes samples, kAuto and kRow feed rows one at a time; kStack
// batches them anyway.
enum class SampleUnit { kAuto, kRow, kFile, kStack };

enum class Interpolation { kNearest, kBilinear, kBicubic };

// Values of `resize` and `crop`. kSide: the short side for resize, both sides for crop.
struct SizeRule {
  enum class Kind { kNone, kAuto, kSide, kExact } kind = Kind::kNone;
  int height = 0, width = 0;  // equal for kSide
};

struct Settings {
  std::string path, names, labels;
  int64_t labels_offset = 0;
  int64_t count = 0;  // 0: all
  int64_t seed = 0;
  int64_t batch = 1;
  int64_t views = 1;   // of each sample
  bool mirror = true;  // views are mirrored, too
  SampleUnit sample = SampleUnit::kAuto;
  bool whole_files = false;  // resolved: arrays are fed whole
  bool strict = false;

  SizeRule resize, crop;
  Interpolation interpolation = Interpolation::kBilinear;
  // x = (pixel * scale - mean) / std. One value for all channels, or one per channel in the model's
  // channel order.
  double scale = 1;
  std::vector<double> mean, std;
  bool normalizes = false;  // a preset or scale, mean, std are given
  std::string preset;
  Layout layout = Layout::kAuto, array_layout = Layout::kAuto;
  bool bgr = false;
  DType type = DType::kUndefined;   // kUndefined: the model's
  std::vector<std::string> inputs;  // "input" or "input=key"

  std::string text;           // every value that shapes the tensors; hashed for the report
  std::string preprocessing;  // the same without the choice of samples
};

Result<Settings> ResolveSettings(const recipe::Params& params);

}  // namespace roundel::data
