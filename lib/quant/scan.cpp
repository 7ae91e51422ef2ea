#include "lib/quant/scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"

namespace roundel::quant {
namespace {

constexpr int64_t kGrain = 1 << 16;  // elements: 256 kB, half of a typical L2 cache
constexpr int kVectorLanes = 16;     // one AVX-512 register; two or four narrower registers

using Floats = float __attribute__((vector_size(4 * kVectorLanes)));
using Words = uint32_t __attribute__((vector_size(4 * kVectorLanes)));

}  // namespace

// Explicit vector lanes: the compiler must not turn a float minimum into a vector reduction,
// because that would reorder NaN and signed zeros.
ROUNDEL_VECTORIZE Scan ScanChunk(const float* values, int64_t n) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Floats low = Floats{} + kInfinity, high = Floats{} - kInfinity;
  Words smallest = ~Words{}, nan = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes) {
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
  for (int lane = 0; lane < kVectorLanes; ++lane) {
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

// Four vectors per iteration: two independent minima and maxima, and one check for NaN of their
// sum, which is NaN or infinite if one value is. The reverse need not hold: then every value is
// checked.
ROUNDEL_VECTORIZE Scan ScanRange(const float* values, int64_t n) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Floats low = Floats{} + kInfinity, high = Floats{} - kInfinity, low2 = low, high2 = high;
  Floats doubt = {};
  int64_t i = 0;
  for (; i + 4 * kVectorLanes <= n; i += 4 * kVectorLanes) {
    Floats a, b, c, d;
    std::memcpy(&a, values + i, sizeof a);
    std::memcpy(&b, values + i + kVectorLanes, sizeof b);
    std::memcpy(&c, values + i + 2 * kVectorLanes, sizeof c);
    std::memcpy(&d, values + i + 3 * kVectorLanes, sizeof d);
    low = a < low ? a : low;
    low2 = b < low2 ? b : low2;
    low = c < low ? c : low;
    low2 = d < low2 ? d : low2;
    high = a > high ? a : high;
    high2 = b > high2 ? b : high2;
    high = c > high ? c : high;
    high2 = d > high2 ? d : high2;
    const Floats sum = (a + b) + (c + d);
    doubt += sum - sum;  // 0, or NaN from then on
  }
  low = low2 < low ? low2 : low;
  high = high2 > high ? high2 : high;
  Scan scan;
  for (int lane = 0; lane < kVectorLanes; ++lane) {
    scan.min = low[lane] < scan.min ? low[lane] : scan.min;
    scan.max = high[lane] > scan.max ? high[lane] : scan.max;
    scan.has_nan |= doubt[lane] != 0;
  }
  if (scan.has_nan) scan.has_nan = ScanChunk(values, i).has_nan;
  for (; i < n; ++i) {
    scan.min = values[i] < scan.min ? values[i] : scan.min;
    scan.max = values[i] > scan.max ? values[i] : scan.max;
    scan.has_nan |= values[i] != values[i];
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
  if (scan.has_nan) return DataError("it contains NaN");
  if (!IsFinite(scan)) return DataError("it contains infinity");
  return OkStatus();
}

Result<Scan> ScanFinite(std::span<const float> values) {
  const Scan scan = ParallelReduce<Scan>(
      static_cast<int64_t>(values.size()), kGrain, Scan{},
      [&](int64_t begin, int64_t end) { return ScanRange(values.data() + begin, end - begin); },
      CombineScans);
  RETURN_IF_ERROR(CheckFinite(scan));
  return scan;
}

}  // namespace roundel::quant
