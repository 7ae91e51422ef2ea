#pragma once
// Grids and the one rounding rule. Observers, simulation, solvers and export all quantize with
// these functions, so that simulation and exported model agree. For integers (small floats:
// lib/quant/float_grid.h):
//
//   q = clamp(round_half_even(x / scale) + zero_point, qmin, qmax)   x^ = (q - zero_point) * scale
//
// as ONNX QuantizeLinear / DequantizeLinear define it, all in float32.

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "lib/tensor/dtype.h"

namespace roundel::quant {

// The numbers that the codes of a grid represent.
enum class GridKind : uint8_t {
  kInteger,
  kTernary,  // -1, 0, 1: an integer grid whose scale fits most values, not the extremes
  kBinary,   // -1 and 1, without 0
  // Numbers of a float format, times a scale; 16-bit formats have no scale.
  kFloat8E4M3FN,
  kFloat8E5M2,
  kFloat4E2M1,
  kFloat16,
  kBfloat16,
};

// The values that a scale may have. kFloat: any positive float.
enum class ScaleKind : uint8_t {
  kFloat,
  kPowerOfTwo,  // float8e8m0: the OCP microscaling formats
  kFloat8,      // a positive float8e4m3fn times one float for the tensor (NVFP4)
  kInteger,     // 1 to 16 times one float for the channel (low power blocks)
  kSigned,      // of either sign: the lowest code, which has no counterpart, covers the longer side
};

// The set of codes of a quantizer, which does not depend on data.
struct Grid {
  int bits = 8;
  bool is_signed = false;
  // Scale from the largest magnitude; zero_point at the middle of the grid (0 if signed).
  bool symmetric = false;
  // Excludes the lowest code of a signed symmetric grid ([-127, 127]), as runtimes expect weights.
  bool narrow_range = false;
  GridKind kind = GridKind::kInteger;
  ScaleKind scales = ScaleKind::kFloat;
  // For unsigned symmetric grids: if no value is negative, the zero point is 0 ("unsigned
  // symmetric" in AIMET), which doubles the resolution of values after a Relu.
  bool from_zero = false;

  // True for float formats: these are signed and symmetric, and have no qmin and qmax.
  bool is_float() const { return kind >= GridKind::kFloat8E4M3FN; }
  // True for integers with step 1, to which `Quantize` rounds.
  bool is_uniform() const { return kind <= GridKind::kTernary; }
  // True for integers with positive scales, for which the noise models and closed forms hold.
  bool is_plain() const { return kind == GridKind::kInteger && scales != ScaleKind::kSigned; }
  // False for 16-bit floats, which have no scale.
  bool has_scale() const { return kind < GridKind::kFloat16; }
  // Number of elements that share a scale by definition of the format; 0 if it defines none.
  int64_t block_size() const;
  int32_t qmin() const;
  int32_t qmax() const;
  // The smallest ONNX type that holds the codes: 2, 4, 8, 16 or 32 bits.
  DType storage_type() const;
  // The grid for a tensor with minimum `least`: from_zero is resolved, and false in the result.
  Grid ForValuesFrom(double least) const;
  std::string Name() const;  // "int8 symmetric narrow", "uint8", "mxfp4"

  friend bool operator==(const Grid&, const Grid&) = default;
};

struct QParams {
  float scale = 1.0f;
  int32_t zero_point = 0;
  friend bool operator==(const QParams&, const QParams&) = default;
};

// Grids with a name: "ternary", "float8e4m3fn", "nvfp4" and others.
struct NamedGrid {
  const char* name;
  Grid grid;
};
std::span<const NamedGrid> NamedGrids();

// Scale and zero point for values in [rmin, rmax], the arithmetic of ONNX Runtime's quantizer: the
// range is widened to hold 0 (and made symmetric if the grid is); scale = (rmax-rmin)/(qmax-qmin)
// in double, cast to float; zero_point = round_half_even(qmin - rmin/scale). A range so small that
// the scale underflows gives {1, 0} (symmetric: {1, the grid's middle}). On float grids the largest
// magnitude maps to the format's largest number; scales that are powers of two follow the OCP
// specification, 2^(floor(log2 magnitude) - exponent of that number), which may clip by up to 1/4.
// Signed scales map the lowest code to the end of larger magnitude.
QParams ParamsFromRange(double rmin, double rmax, const Grid& grid);

// Half to even. Requires the default rounding mode, and |x| < 2^22 or a clamped result.
inline float RoundHalfEven(float x) { return std::nearbyintf(x); }

inline int32_t Quantize(float x, QParams p, int32_t qmin, int32_t qmax) {
  // Clamp in float first: x/scale may exceed int32. The comparison sends NaN to qmin.
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

// to[i] = Quantize(from[i]) for grids of up to 16 bits, vectorized.
void QuantizeRun(const float* from, int8_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);
void QuantizeRun(const float* from, uint8_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);
void QuantizeRun(const float* from, int16_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);
void QuantizeRun(const float* from, uint16_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);
// data[i] = Dequantize(Quantize(data[i])), vectorized and in parallel. In place if to == from.
void FakeQuantize(const float* from, float* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);
// The same for any grid.
void FakeQuantize(const float* from, float* to, int64_t n, QParams p, const Grid& grid);

}  // namespace roundel::quant
