// The loops that move counts are vectorised, which -O2 does not do when the count is not known.
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

namespace roundel::quant {
namespace {

constexpr int kShift = Histogram::kOpenBits;
using Table = uint32_t[Histogram::kBuckets];

ChunkSums CountPlain(const float* values, int64_t n, Table* tables) {
  ChunkSums sums;
  sums.scan = ScanChunk(values, n);
  int64_t i = 0;
  for (; i + 1 < n; i += 2) {
    ++tables[0][std::bit_cast<uint32_t>(values[i]) >> kShift];
    ++tables[1][std::bit_cast<uint32_t>(values[i + 1]) >> kShift];
  }
  if (i < n) ++tables[0][std::bit_cast<uint32_t>(values[i]) >> kShift];
  constexpr int64_t kLanes = 8;
  double sum[kLanes] = {}, squares[kLanes] = {};
  for (i = 0; i + kLanes <= n; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
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
  for (int k = 0; k < 8; ++k) {
    sums.sum += sum[k];
    sums.squares += squares[k];
  }
  return sums;
}

#if defined(__x86_64__)

#if !defined(__clang__)
// GCC 12 finds its own placeholders for "any value" uninitialised.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

// Zeros, half of what flows through a network with Relu, are dropped before anything is counted;
// the keys of the others are packed into a buffer that stays in the first-level cache.
__attribute__((target("avx512f,avx512dq"))) ChunkSums CountAvx512(const float* values, int64_t n,
                                                                  Table* tables) {
  constexpr int64_t kPiece = 2048, kLanes = 16;
  alignas(64) uint32_t keys[kPiece + kLanes];
  __m512 low = _mm512_set1_ps(std::numeric_limits<float>::infinity());
  __m512 high = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  __m512i smallest = _mm512_set1_epi32(-1);
  __m512d sum = _mm512_setzero_pd(), squares = _mm512_setzero_pd();
  int nan = 0;
  ChunkSums sums;
  for (int64_t begin = 0; begin < n; begin += kPiece) {
    const int64_t end = std::min(n, begin + kPiece);
    uint32_t* key = keys;
    for (int64_t i = begin; i < end; i += kLanes) {
      const auto valid = static_cast<__mmask16>(
          end - i >= kLanes ? 0xffff : (1u << static_cast<unsigned>(end - i)) - 1);
      const __m512 x = _mm512_maskz_loadu_ps(valid, values + i);
      low = _mm512_mask_min_ps(low, valid, low, x);
      high = _mm512_mask_max_ps(high, valid, high, x);
      nan |= _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
      const __m512i bits = _mm512_castps_si512(x);
      const __m512i magnitude = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffffff));
      const __mmask16 some = _mm512_cmpge_epu32_mask(magnitude, _mm512_set1_epi32(1 << kShift));
      smallest = _mm512_min_epu32(smallest, _mm512_sub_epi32(magnitude, _mm512_set1_epi32(1)));
      const __m512d a = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
      const __m512d b = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
      sum = _mm512_add_pd(sum, _mm512_add_pd(a, b));
      squares = _mm512_add_pd(squares, _mm512_add_pd(_mm512_mul_pd(a, a), _mm512_mul_pd(b, b)));
      _mm512_storeu_si512(key, _mm512_maskz_compress_epi32(some, _mm512_srli_epi32(bits, kShift)));
      key += std::popcount(static_cast<uint32_t>(some));
    }
    const int64_t count = key - keys;
    tables[0][0] += static_cast<uint32_t>(end - begin - count);
    int64_t i = 0;
    for (; i + 1 < count; i += 2) {
      ++tables[0][keys[i]];
      ++tables[1][keys[i + 1]];
    }
    if (i < count) ++tables[0][keys[i]];
  }
  alignas(64) float lows[16], highs[16];
  alignas(64) uint32_t smallests[16];
  alignas(64) double parts[2][8];
  _mm512_store_ps(lows, low);
  _mm512_store_ps(highs, high);
  _mm512_store_si512(smallests, smallest);
  _mm512_store_pd(parts[0], sum);
  _mm512_store_pd(parts[1], squares);
  sums.scan = {*std::min_element(lows, lows + 16), *std::max_element(highs, highs + 16),
               *std::min_element(smallests, smallests + 16), nan != 0};
  for (int k = 0; k < 8; ++k) {
    sums.sum += parts[0][k];
    sums.squares += parts[1][k];
  }
  return sums;
}

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif

bool HasAvx512() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
  return has;
}

#endif

ChunkSums CountValues(const float* values, int64_t n, Table* tables) {
#if defined(__x86_64__)
  if (HasAvx512()) return CountAvx512(values, n, tables);
#endif
  return CountPlain(values, n, tables);
}

// Buckets [first, last] of one sign.
__attribute__((target_clones("avx512f", "avx2", "default"))) void MoveCounts(
    uint32_t* a, uint32_t* b, uint64_t* counts, uint32_t first, uint32_t last) {
  for (uint32_t i = first; i <= last; ++i) {
    counts[i] += a[i] + b[i];
    a[i] = b[i] = 0;
  }
}

}  // namespace

Histogram::Histogram()
    : counts_(static_cast<uint64_t*>(std::calloc(kBuckets, sizeof(uint64_t))), std::free) {
  INVARIANT(counts_ != nullptr, "out of memory");
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

ChunkSums ChunkCounter::Count(std::span<const float> values) {
  ChunkSums sums = CountValues(values.data(), std::ssize(values), tables_);
  // Zeros have a count of their own.
  for (Table& table : tables_) {
    sums.zeros += int64_t{table[0]} + table[Histogram::kMagnitudes];
    table[0] = table[Histogram::kMagnitudes] = 0;
  }
  if (!IsFinite(sums.scan)) Clear();
  return sums;
}

void ChunkCounter::MoveTo(Histogram* histogram, const Scan& scan) {
  if (scan.smallest == 0xffffffffu) return;  // zeros only
  // The buckets that the run can have touched: the span of its magnitudes per sign.
  const uint32_t smallest = (scan.smallest + 1) >> kShift;
  const auto move = [&](uint32_t sign, float largest) {
    MoveCounts(tables_[0], tables_[1], histogram->counts_.get(), sign + smallest,
               sign + Histogram::MagnitudeOf(largest));
  };
  if (scan.max > 0) move(0, scan.max);
  if (scan.min < 0) move(Histogram::kMagnitudes, scan.min);
}

void ChunkCounter::Clear() { std::memset(tables_, 0, sizeof tables_); }

}  // namespace roundel::quant
