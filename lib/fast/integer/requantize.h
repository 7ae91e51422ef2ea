#pragma once
// From 32-bit sums to 8-bit codes, as ONNX Runtime's integer kernels compute it:
//
//    code = clamp(round_half_even(float(sum + bias[c]) * multiplier[c]) + zero_point, low, high)
//
// with multiplier = (source scale * weight scale) / result scale, all in float32.

#include <cstdint>
#include <vector>

#include "lib/quant/encodings.h"

namespace roundel::engine {

struct Requantizer {
  std::vector<float> multiplier;  // per channel
  std::vector<int32_t> bias;      // per channel
  int32_t zero_point = 0;
  int32_t low = 0, high = 255;  // codes
  bool is_signed = false;

  // For results on `encoding`, all of whose codes are possible.
  static Requantizer For(const quant::Encoding& encoding, size_t channels);
  // sums: [rows, channels]; to: the same number of codes.
  void Run(const int32_t* sums, int64_t rows, uint8_t* to) const;
};

}  // namespace roundel::engine
