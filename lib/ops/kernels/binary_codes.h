#pragma once
// Sums and products of two values on 8-bit grids of one signedness, in the arithmetic of ONNX
// Runtime's QLinearAdd and QLinearMul on x86:
//
//   sum      rp = scale_p / scale_y, rq = scale_q / scale_y, fixed = zy - fma(rp, zp, rq * zq)
//            y = saturate(round_half_even(fma(p, rp, fma(q, rq, fixed))))
//   product  y = saturate(round_half_even((p - zp) * (q - zq) * (scale_p * scale_q / scale_y) +
//   zy))
//
// p and q are the operands a and b, or b and a where a value of a is repeated for a whole run of
// b's.

#include <cstdint>

#include "lib/quant/grid.h"

namespace roundel::engine {

enum class BinaryCodeOp { kAdd, kMul };

// Codes with the step from one to the next: 1, or 0 for one code all along.
struct CodeRun {
  const void* codes;
  int64_t step;
};

class BinaryCodes {
 public:
  BinaryCodes(BinaryCodeOp op, quant::QParams a, quant::QParams b, quant::QParams y,
              bool is_signed);

  // y[i] = a[i] op b[i] for n codes. `b_first`: a value of `a` is what the runtime repeats.
  void Run(CodeRun a, CodeRun b, bool b_first, int64_t n, void* y) const;

  struct Terms {
    float ratio_p, ratio_q, fixed;        // of a sum
    float ratio, zero_p, zero_q, zero_y;  // of a product
  };

 private:
  static Terms TermsOf(quant::QParams p, quant::QParams q, quant::QParams y);

  BinaryCodeOp op_;
  bool is_signed_;
  Terms terms_, swapped_;
};

}  // namespace roundel::engine
