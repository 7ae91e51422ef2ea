#pragma once
// The sum of two values on 8-bit grids, in the arithmetic of ONNX Runtime's QLinearAdd on AVX2:
//
//   ra = scale_a / scale_y, rb = scale_b / scale_y, fixed = zy - fma(ra, za, rb * zb)
//   y = saturate(round_half_even(fma(a, ra, fma(b, rb, fixed))))

#include <cstdint>

#include "lib/quant/grid.h"

namespace roundel::engine {

// The whole grid of int8 or uint8.
struct CodeGrid {
  quant::QParams params;
  bool is_signed = false;
};

struct AddTerms {
  float ratio_a, ratio_b, fixed;
  bool signed_a, signed_b, signed_y;

  static AddTerms For(const CodeGrid& a, const CodeGrid& b, const CodeGrid& y);
};

// y[i] = a[i] + b[i] for n codes.
void AddCodes(const AddTerms& terms, const void* a, const void* b, void* y, int64_t n);

}  // namespace roundel::engine
