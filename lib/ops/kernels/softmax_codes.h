#pragma once
// Softmax of codes in the arithmetic of ONNX Runtime's QLinearSoftmax: with the largest code m of a
// row,
//
//   e(d) = float32(exp((d + shift) * scale_x)) for d = x - m in [-255, 0], as large as float32
//   allows y = saturate(round_half_even(e(x - m) * floor(1 / scale_y) / sum of e(x - m)) + zy)
//
// with the sum in float32, from the first value of the row to the last.

#include <array>
#include <cstdint>

#include "lib/quant/grid.h"

namespace roundel::engine {

class SoftmaxCodes {
 public:
  // Of rows of `length` codes.
  SoftmaxCodes(quant::QParams x, quant::QParams y, bool is_signed, int64_t length);
  // One row; its codes lie `stride` bytes apart.
  void Run(const void* x, int64_t stride, void* y) const;

 private:
  template <typename T>
  void RunRow(const T* x, int64_t stride, T* y) const;

  std::array<float, 256> exponentials_;  // e(d) at d + 255
  float levels_;
  int32_t zero_point_;
  bool is_signed_;
  int64_t length_;
};

}  // namespace roundel::engine
