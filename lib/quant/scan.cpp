#include "lib/quant/scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"

namespace roundel::quant {
namespace {

constexpr int64_t kGrain = 1 << 16;  // elements: 256 kB, half of a usual L2 cache
constexpr int kLanes = 16;           // one AVX-512 register; split in two or four below that

using Floats = float __attribute__((vector_size(4 * kLanes)));
using Words = uint32_t __attribute__((vector_size(4 * kLanes)));

}  // namespace

// Lanes are spelled out: the compiler may not turn a float minimum into a vector reduction by
// itself, because that would reorder NaN and signed zeros.
ROUNDEL_VECTORIZE Scan ScanChunk(const float* values, int64_t n) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Floats low = Floats{} + kInfinity, high = Floats{} - kInfinity;
  Words smallest = ~Words{}, nan = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Floats x;
    Words bits;
    std::memcpy(&x, values + i, sizeof x);
    std::memcpy(&bits, values + i, sizeof bits);
    low = x < low ? x : low;
    high = x > high ? x : high;
    nan |= reinterpret_cast<Words>(x != x);
    const Words magnitude = (bits & 0x7fffffffu) - 1u;  // zero wraps to the largest
    smallest = magnitude < smallest ? magnitude : smallest;
  }
  Scan scan;
  for (int lane = 0; lane < kLanes; ++lane) {
    scan.min = low[lane] < scan.min ? low[lane] : scan.min;
    scan.max = high[lane] > scan.max ? high[lane] : scan.max;
    scan.smallest = smallest[lane] < scan.smallest ? smallest[lane] : scan.smallest;
    scan.has_nan |= nan[lane] != 0;
  }
  for (; i < n; ++i) {
    const float x = values[i];
    scan.min = x < scan.min ? x : scan.min;
    scan.max = x > scan.max ? x : scan.max;
    scan.has_nan |= x != x;
    const uint32_t magnitude = (std::bit_cast<uint32_t>(x) & 0x7fffffffu) - 1u;
    scan.smallest = magnitude < scan.smallest ? magnitude : scan.smallest;
  }
  return scan;
}

Scan CombineScans(const Scan& a, const Scan& b) {
  return {std::min(a.min, b.min), std::max(a.max, b.max), std::min(a.smallest, b.smallest),
          a.has_nan || b.has_nan};
}

bool IsFinite(const Scan& scan) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  return !scan.has_nan && !(scan.min < -kLargest) && !(scan.max > kLargest);
}

Status CheckFinite(const Scan& scan) {
  if (scan.has_nan) return DataError("NaN among the values");
  if (!IsFinite(scan)) return DataError("infinity among the values");
  return OkStatus();
}

Result<Scan> ScanFinite(std::span<const float> values) {
  const Scan scan = ParallelReduce<Scan>(
      static_cast<int64_t>(values.size()), kGrain, Scan{},
      [&](int64_t begin, int64_t end) { return ScanChunk(values.data() + begin, end - begin); },
      CombineScans);
  RETURN_IF_ERROR(CheckFinite(scan));
  return scan;
}

}  // namespace roundel::quant
