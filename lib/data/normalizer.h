#pragma once
// Conversion of pixels to tensor elements, (pixel * scale - mean) / std, with type, layout and
// channel order in one pass.

#include <cstdint>
#include <vector>

#include "lib/base/status.h"
#include "lib/data/settings.h"

namespace roundel::data {

class Normalizer {
 public:
  // For `channels` of the model's input (1, 3; or any number that settings with single values
  // cover). kUsage if mean or std do not fit the channels, or if a pixel's value is not exact in an
  // integer `type`.
  static Result<Normalizer> Create(const Settings& settings, int64_t channels, DType type);

  // `pixels` times the channels; kNhwc or kNchw on both sides. `to` is aligned for the type.
  void Apply(const uint8_t* from, Layout from_layout, int64_t pixels, void* to,
             Layout to_layout) const;

 private:
  int64_t channels_ = 1;
  bool reverse_channels_ = false;
  int width_ = 4;                 // bytes of an element
  std::vector<uint64_t> values_;  // [channels][256]: element bits, in the low bytes
};

}  // namespace roundel::data
