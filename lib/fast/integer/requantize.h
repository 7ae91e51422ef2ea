#pragma once
// From 32-bit sums back to 8-bit codes, the way ONNX Runtime's integer kernels do it:
//
//   code = clamp(round_half_even(float(sum + bias[c]) * multiplier[c]) + zero_point, low, high)
//
// with multiplier = (source scale * weight scale) / result scale, all in float32.

#include <cstdint>
#include <vector>

#include "lib/quant/encodings.h"

namespace roundel::engine {

struct Requantizer {
  std::vector<float> multiplier;  // by channel
  std::vector<int32_t> bias;      // by channel
  int32_t zero_point = 0;
  int32_t low = 0, high = 255;  // codes
  bool is_signed = false;

  // For results on `encoding`, whose whole grid may occur.
  static Requantizer For(const quant::Encoding& encoding, size_t channels);
  // sums: [rows, channels]; to: as many codes.
  void Run(const int32_t* sums, int64_t rows, uint8_t* to) const;
};

}  // namespace roundel::engine
