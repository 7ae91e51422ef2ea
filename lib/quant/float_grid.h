#pragma once
// Grids of small floats: codes are numbers of a float format of at most 16 bits.
//
//   q = nearest number of the format to x / scale, ties to the even mantissa, beyond the largest
//   number that number itself (saturation);                                       x^ = q * scale
//
// as ONNX QuantizeLinear / DequantizeLinear define it. float16 and bfloat16 have neither scale nor
// saturation: their code is that of Cast. NaN stays NaN, except in float4e2m1, which has no NaN.

#include <cstdint>

#include "lib/quant/grid.h"
#include "lib/tensor/tensor.h"

namespace roundel::quant {

// A float format of at most 8 bits. Numbers: 2^e * (1 + m / 2^mantissa_bits) for e >= min_exponent,
// below that 2^min_exponent * m / 2^mantissa_bits. In the order of their codes, from 0 to `max`.
struct FloatFormat {
  int mantissa_bits, min_exponent;
  float max;
  int sign_bit;       // of the code
  int nan, overflow;  // codes; `overflow` (without sign) is used if values do not saturate
  bool negative_zero;
};
// float8e4m3fn, float8e4m3fnuz, float8e5m2, float8e5m2fnuz or float4e2m1.
const FloatFormat& FormatOf(DType type);
// The code of the nearest number, sign included.
int EncodeFloat(const FloatFormat& format, float value, bool saturate);

// The type of the codes of a float kind.
DType FloatType(GridKind kind);
// The scale for values of up to `magnitude`; 1 if it would underflow, or if the grid has none.
float FloatScale(double magnitude, const Grid& grid);
// The largest number of the format (before the scale).
float LargestFloat(const Grid& grid);
// All numbers of the grid before scaling, rising, each once. Requires <= 8 bits, or a binary grid.
const std::vector<float>& GridLevels(const Grid& grid);

// Codes of values that share one scale: bytes (float4e2m1: one code per byte) or 16-bit words.
void EncodeFloats(const float* from, int64_t n, float scale, GridKind kind, void* to);
// The numbers that the codes represent, before scaling.
Tensor DecodeFloats(const Tensor& codes, GridKind kind);
// Encodes and decodes, vectorized and in parallel; in place if to == from.
void FakeQuantizeFloats(const float* from, float* to, int64_t n, float scale, GridKind kind);

// The code on a binary grid; zero has the code 1.
inline int32_t SignCode(float x) { return x < 0 ? -1 : 1; }

}  // namespace roundel::quant
