// The loop below is vectorised, which -O2 does not do when the count is not known.
#pragma GCC optimize("O3")
#include "lib/quant/grid.h"

#include <algorithm>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/base/text.h"

namespace roundel::quant {

int32_t Grid::qmin() const {
  if (!is_signed) return 0;
  const int32_t low = static_cast<int32_t>(-(int64_t{1} << (bits - 1)));
  return symmetric && narrow_range ? low + 1 : low;
}

int32_t Grid::qmax() const {
  return static_cast<int32_t>((int64_t{1} << (is_signed ? bits - 1 : bits)) - 1);
}

DType Grid::storage_type() const {
  if (bits <= 2) return is_signed ? DType::kInt2 : DType::kUint2;
  if (bits <= 4) return is_signed ? DType::kInt4 : DType::kUint4;
  if (bits <= 8) return is_signed ? DType::kInt8 : DType::kUint8;
  if (bits <= 16) return is_signed ? DType::kInt16 : DType::kUint16;
  return is_signed ? DType::kInt32 : DType::kUint32;
}

std::string Grid::Name() const {
  return StrCat(is_signed ? "int" : "uint", bits, symmetric ? " symmetric" : "",
                symmetric && narrow_range ? " narrow" : "");
}

QParams ParamsFromRange(double rmin, double rmax, const Grid& grid) {
  rmin = std::min(rmin, 0.0);
  rmax = std::max(rmax, 0.0);
  const double qmin = grid.qmin(), qmax = grid.qmax();
  if (grid.symmetric) {
    const double magnitude = std::max(-rmin, rmax);
    rmin = -magnitude;
    rmax = magnitude;
  }
  const auto middle = static_cast<int32_t>(std::nearbyint((qmin + qmax) / 2.0));
  const double scale = (rmax - rmin) / (qmax - qmin);
  if (!(scale >= std::numeric_limits<float>::min())) return {1.0f, grid.symmetric ? middle : 0};
  if (grid.symmetric) return {static_cast<float>(scale), middle};
  const double zero_point = std::nearbyint(qmin - rmin / scale);
  return {static_cast<float>(scale), static_cast<int32_t>(std::clamp(zero_point, qmin, qmax))};
}

namespace {

__attribute__((target_clones("avx512f", "avx2", "default")))
void FakeQuantizeChunk(const float* from, float* to, int64_t n, float scale, float low, float high) {
  for (int64_t i = 0; i < n; ++i) {
    float q = __builtin_nearbyintf(from[i] / scale);
    q = q > low ? q : low;
    q = q < high ? q : high;
    to[i] = (q + 0.0f) * scale;  // -0 becomes +0, as it does by way of the integer code
  }
}

}  // namespace

void FakeQuantize(const float* from, float* to, int64_t n, QParams p, int32_t qmin, int32_t qmax) {
  // q - zero_point is an integer below 2^24 in magnitude for the grids of up to 16 bits, hence the
  // product equals Dequantize(Quantize(x)) bit for bit.
  const auto low = static_cast<float>(qmin - p.zero_point);
  const auto high = static_cast<float>(qmax - p.zero_point);
  ParallelFor(n, 1 << 14, [&](int64_t begin, int64_t end) {
    FakeQuantizeChunk(from + begin, to + begin, end - begin, p.scale, low, high);
  });
}

}  // namespace roundel::quant
