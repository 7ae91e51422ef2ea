#pragma once
// The data section after its presets have been applied and its texts understood.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/recipe/params.h"
#include "lib/tensor/dtype.h"

namespace roundel::data {

// Order of the axes behind the batch axis.
enum class Layout { kAuto, kNchw, kNhwc };

// What is fed as one sample: kAuto and kRow run the rows of a model that mixes them one at a time,
// kStack stacks them all the same.
enum class SampleUnit { kAuto, kRow, kFile, kStack };

enum class Interpolation { kNearest, kBilinear, kBicubic };

// What `resize` and `crop` say. kSide: the short side for resize, both sides for crop.
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
  SampleUnit sample = SampleUnit::kAuto;
  bool whole_files = false;  // decided: arrays are fed as they are
  bool strict = false;

  SizeRule resize, crop;
  Interpolation interpolation = Interpolation::kBilinear;
  // x = (pixel * scale - mean) / std. One value for all channels, or one for each in the model's
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
