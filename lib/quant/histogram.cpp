// Vectorizes the loops that move counts; -O2 does not if the count is unknown.
#pragma GCC optimize("O3")
#include "lib/quant/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "lib/base/check.h"
#include "lib/base/ending.h"
#include "lib/base/vectorize.h"

namespace roundel::quant {
namespace {

constexpr int kShift = Histogram::kOpenBits;

void SumUp(const float* values, int64_t n, ChunkSums* sums) {
  constexpr int64_t kVectorLanes = 8;
  double sum[kVectorLanes] = {}, squares[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes) {
    for (int64_t lane = 0; lane < kVectorLanes; ++lane) {
      const double x = values[i + lane];
      sum[lane] += x;
      squares[lane] += x * x;
    }
  }
  for (; i < n; ++i) {
    const double x = values[i];
    sum[0] += x;
    squares[0] += x * x;
  }
  for (int64_t lane = 0; lane < kVectorLanes; ++lane) {
    sums->sum += sum[lane];
    sums->squares += squares[lane];
  }
}

Scan CountPlain(const float* values, int64_t n, uint32_t* table) {
  for (int64_t i = 0; i < n; ++i) ++table[std::bit_cast<uint32_t>(values[i]) >> kShift];
  return ScanChunk(values, n);
}

#if defined(__x86_64__)

#if !defined(__clang__)
// GCC 12 reports its own placeholders for undefined values as uninitialized.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

// Zeros, half of the values in a network with Relu, are dropped before counting; the keys of the
// others are packed into a buffer that stays in the first-level cache.
class Avx512Counter {
 public:
  __attribute__((target("avx512f"))) Scan Count(const float* values, int64_t n, uint32_t* table) {
    __m512 low = _mm512_set1_ps(std::numeric_limits<float>::infinity());
    __m512 high = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    __m512i smallest = _mm512_set1_epi32(-1), largest = _mm512_setzero_si512();
    const __m512i first_key = _mm512_set1_epi32(1 << kShift);
    const __m512i no_sign = _mm512_set1_epi32(0x7fffffff);
    const int64_t whole = n / kVectorLanes * kVectorLanes;
    for (int64_t begin = 0; begin < whole; begin += kPiece) {
      const int64_t end = std::min(whole, begin + kPiece);
      uint32_t* key = keys_;
      for (int64_t i = begin; i < end; i += kVectorLanes) {
        const __m512 x = _mm512_loadu_ps(values + i);
        low = _mm512_min_ps(low, x);
        high = _mm512_max_ps(high, x);
        const __m512i bits = _mm512_castps_si512(x);
        const __m512i magnitude = _mm512_and_si512(bits, no_sign);
        const __mmask16 some = _mm512_cmpge_epu32_mask(magnitude, first_key);
        smallest = _mm512_mask_min_epu32(smallest, some, smallest, magnitude);
        largest = _mm512_max_epu32(largest, magnitude);
        const __m512i bucket = _mm512_srli_epi32(bits, kShift);
        _mm512_storeu_si512(key, _mm512_maskz_compress_epi32(some, bucket));
        key += std::popcount(static_cast<uint32_t>(some));
      }
      table[0] += static_cast<uint32_t>(end - begin - (key - keys_));
      CountKeys(key - keys_, table);
    }
    alignas(64) float lows[kVectorLanes], highs[kVectorLanes];
    alignas(64) uint32_t least[kVectorLanes], most[kVectorLanes];
    _mm512_store_ps(lows, low);
    _mm512_store_ps(highs, high);
    _mm512_store_si512(least, smallest);
    _mm512_store_si512(most, largest);
    const Scan scan = {*std::min_element(lows, lows + kVectorLanes),
                       *std::max_element(highs, highs + kVectorLanes),
                       *std::min_element(least, least + kVectorLanes) - 1,
                       *std::max_element(most, most + kVectorLanes) > kInfinity};
    return CombineScans(scan, CountPlain(values + whole, n - whole, table));
  }

 private:
  static constexpr int64_t kPiece = 2048, kVectorLanes = 16;
  static constexpr uint32_t kInfinity = 0x7f800000;

  // Adjacent values use different tables: increments of one address depend on each other.
  void CountKeys(int64_t count, uint32_t* table) {
    int64_t i = 0;
    for (; i + 1 < count; i += 2) {
      ++table[keys_[i]];
      ++table[Histogram::kBuckets + keys_[i + 1]];
    }
    if (i < count) ++table[keys_[i]];
  }

  alignas(64) uint32_t keys_[kPiece + kVectorLanes];
};

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#endif

Scan CountValues(const float* values, int64_t n, uint32_t* table) {
#if defined(__x86_64__)
  static const bool has_avx512 = __builtin_cpu_supports("avx512f") != 0;
  if (has_avx512) return Avx512Counter().Count(values, n, table);
#endif
  return CountPlain(values, n, table);
}

// Buckets [first, last] of one sign, from both tables.
ROUNDEL_VECTORIZE
void MoveCounts(uint32_t* from, uint64_t* to, uint32_t first, uint32_t last) {
  for (uint32_t i = first; i <= last; ++i) {
    to[i] += from[i] + from[Histogram::kBuckets + i];
    from[Histogram::kBuckets + i] = 0;
    from[i] = 0;
  }
}

}  // namespace

Histogram::Histogram()
    : counts_(static_cast<uint64_t*>(std::calloc(kBuckets, sizeof(uint64_t))), std::free) {
  if (counts_ == nullptr) EndOutOfMemory();
}

void Histogram::Add(const Histogram& other) {
  for (uint32_t i = 0; i < kBuckets; ++i)
    if (other.counts_[i] != 0) counts_[i] += other.counts_[i];  // reads share the zero page
}

// Bucket 0 counts as zero throughout; the bucket after the last finite one would start at infinity.
double Histogram::Edge(uint32_t magnitude) {
  if (magnitude <= 1) return 0;
  return std::min(std::bit_cast<float>(magnitude << kShift), std::numeric_limits<float>::max());
}

uint32_t Histogram::MagnitudeOf(float x) {
  return (std::bit_cast<uint32_t>(x) & 0x7fffffffu) >> kShift;
}

ChunkSums ChunkCounter::Count(std::span<const float> values, bool moments) {
  ChunkSums sums;
  sums.scan = CountValues(values.data(), std::ssize(values), table_);
  // Zeros have a separate count.
  uint32_t& negative = table_[Histogram::kMagnitudes];
  sums.zeros = int64_t{table_[0]} + negative;
  table_[0] = negative = 0;
  if (!IsFinite(sums.scan))
    std::memset(table_, 0, sizeof table_);
  else if (moments)
    SumUp(values.data(), std::ssize(values), &sums);
  return sums;
}

void ChunkCounter::MoveTo(Histogram* histogram, const Scan& scan) {
  if (scan.smallest == 0xffffffffu) return;  // zeros only
  // The buckets that the run can have touched: the span of its magnitudes per sign.
  const uint32_t smallest = (scan.smallest + 1) >> kShift;
  const auto move = [&](uint32_t sign, float largest) {
    MoveCounts(table_, histogram->counts_.get(), sign + smallest,
               sign + Histogram::MagnitudeOf(largest));
  };
  if (scan.max > 0) move(0, scan.max);
  if (scan.min < 0) move(Histogram::kMagnitudes, scan.min);
}

}  // namespace roundel::quant
