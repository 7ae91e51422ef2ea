#pragma once
// The integer grid and THE rounding rule. Observers, simulation, solvers and export all quantize
// through these functions, so that what is simulated is what is exported.
//
//   q = clamp(round_half_even(x / scale) + zero_point, qmin, qmax)        x^ = (q - zero_point) * scale
//
// as ONNX QuantizeLinear / DequantizeLinear define it, all in float32.

#include <cmath>
#include <cstdint>
#include <string>

#include "lib/tensor/dtype.h"

namespace roundel::quant {

// What a quantizer may represent, before any data is seen.
struct Grid {
  int bits = 8;
  bool is_signed = false;
  // Scale from the largest magnitude; zero_point at the middle of the grid (0 if signed).
  bool symmetric = false;
  // Leaves out the lowest code of a signed symmetric grid ([-127, 127]), as runtimes expect of weights.
  bool narrow_range = false;

  int32_t qmin() const;
  int32_t qmax() const;
  // The smallest ONNX type that holds the codes: 2, 4, 8, 16 or 32 bits.
  DType storage_type() const;
  std::string Name() const;  // "int8 symmetric narrow", "uint8"

  friend bool operator==(const Grid&, const Grid&) = default;
};

struct QParams {
  float scale = 1.0f;
  int32_t zero_point = 0;
  friend bool operator==(const QParams&, const QParams&) = default;
};

// Scale and zero point for values in [rmin, rmax], the arithmetic of ONNX Runtime's quantizer: the
// range is widened to hold 0 (and made symmetric if the grid is); scale = (rmax-rmin)/(qmax-qmin) in
// double, cast to float; zero_point = round_half_even(qmin - rmin/scale). A range so small that the
// scale underflows gives {1, 0} (symmetric: {1, the grid's middle}).
QParams ParamsFromRange(double rmin, double rmax, const Grid& grid);

// Half to even in the default rounding mode; |x| < 2^22 by construction of the callers or clamped.
inline float RoundHalfEven(float x) { return std::nearbyintf(x); }

inline int32_t Quantize(float x, QParams p, int32_t qmin, int32_t qmax) {
  // Clamp in float first: x/scale may exceed what int32 holds; NaN goes to qmin side by the compare.
  const float low = static_cast<float>(int64_t{qmin} - p.zero_point);
  const float high = static_cast<float>(int64_t{qmax} - p.zero_point);
  float q = RoundHalfEven(x / p.scale);
  q = q > low ? q : low;
  q = q < high ? q : high;
  // With 32 bits the bounds are not exact floats: 2^31 is one more than qmax.
  const int64_t code = static_cast<int64_t>(q) + p.zero_point;
  return static_cast<int32_t>(code < qmin ? qmin : code > qmax ? qmax : code);
}
inline float Dequantize(int32_t q, QParams p) {
  return static_cast<float>(int64_t{q} - p.zero_point) * p.scale;
}

// data[i] = Dequantize(Quantize(data[i])), vectorised over and in parallel. In place when to == from.
void FakeQuantize(const float* from, float* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);

}  // namespace roundel::quant
