#pragma once
// Sums and products of two values on 8-bit grids of the same signedness, in the arithmetic of ONNX
// Runtime's QLinearAdd and QLinearMul on x86:
//
//    sum      rp = scale_p / scale_y, rq = scale_q / scale_y, fixed = zy - fma(rp, zp, rq * zq)
//             y = saturate(round_half_even(fma(p, rp, fma(q, rq, fixed))))
//    product  ratio = scale_p * scale_q / scale_y
//             y = saturate(round_half_even((p - zp) * (q - zq) * ratio + zy))
//
// p and q are the operands a and b, or b and a if one value of a is broadcast over a run of b.

#include <cstdint>

#include "lib/quant/grid.h"

namespace roundel::engine {

enum class BinaryCodeOp { kAdd, kMul };

// Codes and the step between them: 1, or 0 for one repeated code.
struct CodeRun {
  const void* codes;
  int64_t step;
};

class BinaryCodes {
 public:
  BinaryCodes(BinaryCodeOp op, quant::QParams a, quant::QParams b, quant::QParams y,
              bool is_signed);

  // y[i] = a[i] op b[i] for n codes. `b_first`: the runtime broadcasts a value of `a`.
  void Run(CodeRun a, CodeRun b, bool b_first, int64_t n, void* y) const;

  struct Terms {
    float ratio_p, ratio_q, fixed;        // for sums
    float ratio, zero_p, zero_q, zero_y;  // for products
  };

 private:
  static Terms TermsOf(quant::QParams p, quant::QParams q, quant::QParams y);

  BinaryCodeOp op_;
  bool is_signed_;
  Terms terms_, swapped_;
};

}  // namespace roundel::engine
