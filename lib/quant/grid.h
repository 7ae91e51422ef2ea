#pragma once
// The grid and THE rounding rule. Observers, simulation, solvers and export all quantize through
// these functions, so that what is simulated is what is exported. Of integers (those of small floats
// are in lib/quant/float_grid.h):
//
//   q = clamp(round_half_even(x / scale) + zero_point, qmin, qmax)        x^ = (q - zero_point) * scale
//
// as ONNX QuantizeLinear / DequantizeLinear define it, all in float32.

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "lib/tensor/dtype.h"

namespace roundel::quant {

// What the codes of a grid stand for.
enum class GridKind : uint8_t {
  kInteger,
  kTernary,  // -1, 0, 1: an integer grid whose scale comes from the bulk of the values
  kBinary,   // -1 and 1, nothing between
  // Numbers of a float format, times a scale; 16 bits need none.
  kFloat8E4M3FN,
  kFloat8E5M2,
  kFloat4E2M1,
  kFloat16,
  kBfloat16,
};

// What a scale may be, beside any positive float.
enum class ScaleKind : uint8_t {
  kFloat,
  kPowerOfTwo,  // float8e8m0: the OCP microscaling formats
  kFloat8,      // a positive float8e4m3fn times one float for the tensor (NVFP4)
  kInteger,     // 1 to 16 times one float for the channel (low power blocks)
  kSigned,      // of either sign: the lowest code, which has no counterpart, serves the longer side
};

// What a quantizer may represent, before any data is seen.
struct Grid {
  int bits = 8;
  bool is_signed = false;
  // Scale from the largest magnitude; zero_point at the middle of the grid (0 if signed).
  bool symmetric = false;
  // Leaves out the lowest code of a signed symmetric grid ([-127, 127]), as runtimes expect of weights.
  bool narrow_range = false;
  GridKind kind = GridKind::kInteger;
  ScaleKind scales = ScaleKind::kFloat;
  // Of unsigned symmetric grids: where no value is negative, codes count from 0 ("unsigned symmetric" in AIMET),
  // which doubles the resolution behind a Relu.
  bool from_zero = false;

  // Numbers of a float format: signed and symmetric, and without the bounds below.
  bool is_float() const { return kind >= GridKind::kFloat8E4M3FN; }
  // Integers one step apart: what `Quantize` rounds to.
  bool is_uniform() const { return kind <= GridKind::kTernary; }
  // Integers with positive scales: what closed forms and noise models of rounding speak of.
  bool is_plain() const { return kind == GridKind::kInteger && scales != ScaleKind::kSigned; }
  // Whether there is a scale to find: 16-bit floats hold values as they are.
  bool has_scale() const { return kind < GridKind::kFloat16; }
  // Elements that share a scale by the format's definition; 0 if that is free.
  int64_t block_size() const;
  int32_t qmin() const;
  int32_t qmax() const;
  // The smallest ONNX type that holds the codes: 2, 4, 8, 16 or 32 bits.
  DType storage_type() const;
  // What holds for a tensor whose least value is `least`: from_zero decided, false.
  Grid ForValuesFrom(double least) const;
  std::string Name() const;  // "int8 symmetric narrow", "uint8", "mxfp4"

  friend bool operator==(const Grid&, const Grid&) = default;
};

struct QParams {
  float scale = 1.0f;
  int32_t zero_point = 0;
  friend bool operator==(const QParams&, const QParams&) = default;
};

// Grids that have a name of their own: "ternary", "float8e4m3fn", "nvfp4" and so on.
struct NamedGrid {
  const char* name;
  Grid grid;
};
std::span<const NamedGrid> NamedGrids();

// Scale and zero point for values in [rmin, rmax], the arithmetic of ONNX Runtime's quantizer: the
// range is widened to hold 0 (and made symmetric if the grid is); scale = (rmax-rmin)/(qmax-qmin) in
// double, cast to float; zero_point = round_half_even(qmin - rmin/scale). A range so small that the
// scale underflows gives {1, 0} (symmetric: {1, the grid's middle}). Of float grids the largest
// magnitude meets the format's largest number; scales that are powers of two follow the OCP
// specification, 2^(floor(log2 magnitude) - exponent of that number), which may clip by up to 1/4.
// Scales with a sign put the lowest code at the end of larger magnitude.
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

// to[i] = Quantize(from[i]) for grids of up to 16 bits, vectorised.
void QuantizeRun(const float* from, int8_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);
void QuantizeRun(const float* from, uint8_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);
void QuantizeRun(const float* from, int16_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);
void QuantizeRun(const float* from, uint16_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);
// data[i] = Dequantize(Quantize(data[i])), vectorised over and in parallel. In place when to == from.
void FakeQuantize(const float* from, float* to, int64_t n, QParams p, int32_t qmin, int32_t qmax);
// The same on any grid.
void FakeQuantize(const float* from, float* to, int64_t n, QParams p, const Grid& grid);

}  // namespace roundel::quant
