#pragma once
// The pixels of a channels-last value that a Conv with a kernel of one tap reads.

#include <cstdint>
#include <vector>

#include "lib/tensor/tensor.h"

namespace roundel::engine {

class PickedPixels {
 public:
  // `source` and `result` of the Conv, [N, C, spatial...].
  PickedPixels(const Shape& source, const Shape& result, const std::vector<int64_t>& strides,
               const std::vector<int64_t>& pads_begin);
  // The size of the picked pixels, [N, spatial of the result..., C].
  int64_t bytes() const { return static_cast<int64_t>(positions_.size()) * batch_ * channels_ * 4; }
  // Pixels in the padding are 0.
  void Pick(const float* source, float* pixels) const;
  // Every pixel to its position; the others are 0.
  void PutBack(const float* pixels, float* source) const;

 private:
  int64_t batch_, channels_, plane_;  // plane: pixels of a sample of the source
  std::vector<int64_t> positions_;    // by pixel of the result: of the source, -1 in the padding
};

}  // namespace roundel::engine
