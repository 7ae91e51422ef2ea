#include "lib/fast/onednn/picked_pixels.h"

#include <algorithm>

#include "lib/ops/kernels/spatial.h"

namespace roundel::engine {

PickedPixels::PickedPixels(const Shape& source, const Shape& result,
                           const std::vector<int64_t>& strides,
                           const std::vector<int64_t>& pads_begin)
    : batch_(source[0]), channels_(source[1]), plane_(1) {
  for (size_t i = 2; i < source.size(); ++i) plane_ *= source[i];
  for (Odometer o({result.begin() + 2, result.end()}); !o.done(); o.Next()) {
    int64_t position = 0;
    for (size_t i = 0; i < strides.size() && position >= 0; ++i) {
      const int64_t at = o[i] * strides[i] - pads_begin[i];
      position = at < 0 || at >= source[2 + i] ? -1 : position * source[2 + i] + at;
    }
    positions_.push_back(position);
  }
}

void PickedPixels::Pick(const float* source, float* pixels) const {
  for (int64_t n = 0; n < batch_; ++n, source += plane_ * channels_)
    for (const int64_t position : positions_) {
      if (position < 0)
        std::fill_n(pixels, channels_, 0.0f);
      else
        std::copy_n(source + position * channels_, channels_, pixels);
      pixels += channels_;
    }
}

void PickedPixels::PutBack(const float* pixels, float* source) const {
  std::fill_n(source, batch_ * plane_ * channels_, 0.0f);
  for (int64_t n = 0; n < batch_; ++n, source += plane_ * channels_)
    for (const int64_t position : positions_) {
      if (position >= 0) std::copy_n(pixels, channels_, source + position * channels_);
      pixels += channels_;
    }
}

}  // namespace roundel::engine
