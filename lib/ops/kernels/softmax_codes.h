#pragma once
// Softmax of codes in the arithmetic of ONNX Runtime's QLinearSoftmax. With m the largest code of a
// row:
//
//    e(d) = float32(exp((d + shift) * scale_x)) for d = x - m in [-255, 0]
//    y = saturate(round_half_even(e(x - m) * floor(1 / scale_y) / sum of e(x - m)) + zy)
//
// `shift` makes e nearly as large as float32 allows. The sum is in float32, from first to last
// value.

#include <array>
#include <cstdint>

#include "lib/quant/grid.h"

namespace roundel::engine {

class SoftmaxCodes {
 public:
  // For rows of `length` codes.
  SoftmaxCodes(quant::QParams x, quant::QParams y, bool is_signed, int64_t length);
  // One row; its codes are `stride` bytes apart.
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
