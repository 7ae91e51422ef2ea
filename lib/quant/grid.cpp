// Vectorizes the loops below; -O2 does not if the count is unknown.
#pragma GCC optimize("O3")
#include "lib/quant/grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/check.h"
#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/base/vectorize.h"
#include "lib/quant/float_grid.h"

namespace roundel::quant {
namespace {

constexpr Grid Floats(GridKind kind, int bits, ScaleKind scales = ScaleKind::kFloat) {
  return {.bits = bits, .is_signed = true, .symmetric = true, .kind = kind, .scales = scales};
}
constexpr Grid Signs(GridKind kind) {
  return {.bits = 2, .is_signed = true, .symmetric = true, .narrow_range = true, .kind = kind};
}

constexpr NamedGrid kNamedGrids[] = {
    {"ternary", Signs(GridKind::kTernary)},
    {"binary", Signs(GridKind::kBinary)},
    {"float16", Floats(GridKind::kFloat16, 16)},
    {"bfloat16", Floats(GridKind::kBfloat16, 16)},
    {"float8e4m3fn", Floats(GridKind::kFloat8E4M3FN, 8)},
    {"float8e5m2", Floats(GridKind::kFloat8E5M2, 8)},
    {"float4e2m1", Floats(GridKind::kFloat4E2M1, 4)},
    {"mxfp8", Floats(GridKind::kFloat8E4M3FN, 8, ScaleKind::kPowerOfTwo)},
    {"mxfp8e5m2", Floats(GridKind::kFloat8E5M2, 8, ScaleKind::kPowerOfTwo)},
    {"mxfp4", Floats(GridKind::kFloat4E2M1, 4, ScaleKind::kPowerOfTwo)},
    {"nvfp4", Floats(GridKind::kFloat4E2M1, 4, ScaleKind::kFloat8)},
};

// `scale` as a float, limited so that the end of the grid, `steps` away from zero, is finite: the
// scale of the largest float, rounded up, would make it infinite.
float WithFiniteEnd(double scale, double steps) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  auto rounded = static_cast<float>(std::min(scale, double{kLargest}));
  if (static_cast<double>(rounded) * steps <= kLargest) return rounded;
  rounded = static_cast<float>(kLargest / steps);
  while (!(static_cast<float>(steps) * rounded <= kLargest))
    rounded = std::nextafter(rounded, 0.0f);
  return rounded;
}

}  // namespace

std::span<const NamedGrid> NamedGrids() { return kNamedGrids; }

int64_t Grid::block_size() const {
  return scales == ScaleKind::kPowerOfTwo ? 32 : scales == ScaleKind::kFloat8 ? 16 : 0;
}

int32_t Grid::qmin() const {
  INVARIANT(!is_float(), "integer bounds of " + Name());
  if (!is_signed) return 0;
  const int32_t low = static_cast<int32_t>(-(int64_t{1} << (bits - 1)));
  return symmetric && narrow_range ? low + 1 : low;
}

int32_t Grid::qmax() const {
  INVARIANT(!is_float(), "integer bounds of " + Name());
  return static_cast<int32_t>((int64_t{1} << (is_signed ? bits - 1 : bits)) - 1);
}

DType Grid::storage_type() const {
  if (is_float()) return FloatType(kind);
  if (bits <= 2) return is_signed ? DType::kInt2 : DType::kUint2;
  if (bits <= 4) return is_signed ? DType::kInt4 : DType::kUint4;
  if (bits <= 8) return is_signed ? DType::kInt8 : DType::kUint8;
  if (bits <= 16) return is_signed ? DType::kInt16 : DType::kUint16;
  return is_signed ? DType::kInt32 : DType::kUint32;
}

std::string Grid::Name() const {
  for (const NamedGrid& named : kNamedGrids)
    if (*this == named.grid) return named.name;
  return StrCat(is_signed ? "int" : "uint", bits, symmetric ? " symmetric" : "",
                symmetric && narrow_range ? " narrow" : "",
                scales == ScaleKind::kInteger          ? " lpbq"
                : scales == ScaleKind::kSigned         ? " signed"
                : from_zero && symmetric && !is_signed ? " unsigned"
                                                       : "");
}

Grid Grid::ForValuesFrom(double least) const {
  Grid grid = *this;
  grid.from_zero = false;
  grid.symmetric = symmetric && !(from_zero && !is_signed && least >= 0);
  return grid;
}

QParams ParamsFromRange(double rmin, double rmax, const Grid& grid) {
  if (grid.from_zero) return ParamsFromRange(rmin, rmax, grid.ForValuesFrom(rmin));
  if (grid.is_float()) return {FloatScale(std::max(std::abs(rmin), std::abs(rmax)), grid), 0};
  rmin = std::min(rmin, 0.0);
  rmax = std::max(rmax, 0.0);
  const double qmin = grid.qmin(), qmax = grid.qmax();
  if (grid.scales == ScaleKind::kSigned) {
    const double scale = (-rmin >= rmax ? rmin : rmax) / qmin;
    const bool normal = std::fabs(scale) >= std::numeric_limits<float>::min();
    return {normal
                ? std::copysign(WithFiniteEnd(std::fabs(scale), -qmin), static_cast<float>(scale))
                : 1.0f,
            0};
  }
  if (grid.symmetric) {
    const double magnitude = std::max(-rmin, rmax);
    rmin = -magnitude;
    rmax = magnitude;
  }
  const auto middle = static_cast<int32_t>(std::nearbyint((qmin + qmax) / 2.0));
  const double scale = (rmax - rmin) / (qmax - qmin);
  if (!(scale >= std::numeric_limits<float>::min())) return {1.0f, grid.symmetric ? middle : 0};
  const double zero_point =
      grid.symmetric ? middle : std::clamp(std::nearbyint(qmin - rmin / scale), qmin, qmax);
  const double steps = std::max(zero_point - qmin, qmax - zero_point);
  return {WithFiniteEnd(scale, steps), static_cast<int32_t>(zero_point)};
}

namespace {

ROUNDEL_VECTORIZE
void FakeQuantizeChunk(const float* from, float* to, int64_t n, float scale, float low,
                       float high) {
  for (int64_t i = 0; i < n; ++i) {
    float q = __builtin_nearbyintf(from[i] / scale);
    q = q > low ? q : low;
    q = q < high ? q : high;
    to[i] = (q + 0.0f) * scale;  // -0 becomes +0, as in the conversion to an integer code and back
  }
}

// The codes of a chunk in 32 bits; the caller narrows them.
constexpr int64_t kChunk = 512;

ROUNDEL_VECTORIZE
void CodesOfChunk(const float* from, int32_t* to, int64_t n, float scale, float low, float high,
                  int32_t zero_point) {
  for (int64_t i = 0; i < n; ++i) {
    float q = __builtin_nearbyintf(from[i] / scale);
    q = q > low ? q : low;
    q = q < high ? q : high;
    to[i] = static_cast<int32_t>(q) + zero_point;
  }
}

// The bounds are exact as floats: grids of up to 16 bits end below 2^24 on both sides.
template <typename Code>
void QuantizeChunks(const float* from, Code* to, int64_t n, QParams p, int32_t qmin, int32_t qmax) {
  const auto low = static_cast<float>(int64_t{qmin} - p.zero_point);
  const auto high = static_cast<float>(int64_t{qmax} - p.zero_point);
  int32_t codes[kChunk];
  for (int64_t begin = 0; begin < n; begin += kChunk) {
    const int64_t count = std::min(kChunk, n - begin);
    CodesOfChunk(from + begin, codes, count, p.scale, low, high, p.zero_point);
    for (int64_t i = 0; i < count; ++i) to[begin + i] = static_cast<Code>(codes[i]);
  }
}

}  // namespace

void QuantizeRun(const float* from, int8_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax) {
  QuantizeChunks(from, to, n, p, qmin, qmax);
}
void QuantizeRun(const float* from, uint8_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax) {
  QuantizeChunks(from, to, n, p, qmin, qmax);
}
void QuantizeRun(const float* from, int16_t* to, int64_t n, QParams p, int32_t qmin, int32_t qmax) {
  QuantizeChunks(from, to, n, p, qmin, qmax);
}
void QuantizeRun(const float* from, uint16_t* to, int64_t n, QParams p, int32_t qmin,
                 int32_t qmax) {
  QuantizeChunks(from, to, n, p, qmin, qmax);
}

void FakeQuantize(const float* from, float* to, int64_t n, QParams p, int32_t qmin, int32_t qmax) {
  // q - zero_point is an integer below 2^24 in magnitude for the grids of up to 16 bits, hence the
  // product equals Dequantize(Quantize(x)) bit for bit.
  const auto low = static_cast<float>(qmin - p.zero_point);
  const auto high = static_cast<float>(qmax - p.zero_point);
  ParallelFor(n, 1 << 14, [&](int64_t begin, int64_t end) {
    FakeQuantizeChunk(from + begin, to + begin, end - begin, p.scale, low, high);
  });
}

void FakeQuantize(const float* from, float* to, int64_t n, QParams p, const Grid& grid) {
  if (grid.is_float())
    FakeQuantizeFloats(from, to, n, p.scale, grid.kind);
  else if (grid.kind == GridKind::kBinary)
    ParallelFor(n, 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = static_cast<float>(SignCode(from[i])) * p.scale;
    });
  else
    FakeQuantize(from, to, n, p, grid.qmin(), grid.qmax());
}

}  // namespace roundel::quant
