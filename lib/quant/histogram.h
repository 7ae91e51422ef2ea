#pragma once
// The histogram of calibration: streaming, of constant size. Merging adds integers: the result does
// not depend on the order of values or on the split into batches, threads, runs or machines.
//
// The index of a bucket is the upper 17 bits of a float: sign, exponent, and 8 bits of the
// mantissa. The range need not be known in advance, and values are never re-binned.
//
// Error bound: a bucket [e, e (1 + w)) has w <= 2^-8, so that a value is known to 2^-8 of itself
// (2^-9 from the middle). Magnitudes below 2^-134 count as zero. Zeros are counted apart.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "lib/base/status.h"
#include "lib/quant/scan.h"

namespace roundel::quant {

class Histogram {
 public:
  static constexpr int kOpenBits = 15;  // mantissa bits that the bucket index drops
  static constexpr uint32_t kMagnitudes = 1u << (31 - kOpenBits);
  static constexpr uint32_t kBuckets = 2 * kMagnitudes;  // non-negative, then negative

  Histogram();
  void Add(const Histogram& other);
  void Add(uint32_t bucket, uint64_t count) { counts_[bucket] += count; }
  uint64_t count(uint32_t bucket) const { return counts_[bucket]; }
  // Lower edge of bucket `magnitude` of |x|. Edge(kMagnitudes): upper edge of the last bucket.
  static double Edge(uint32_t magnitude);
  static uint32_t MagnitudeOf(float x);

 private:
  friend class ChunkCounter;
  // calloc'ed: only pages with counted magnitudes take memory.
  std::unique_ptr<uint64_t[], decltype(&std::free)> counts_;
};

// Results of one scan of an array, other than the bucket counts.
struct ChunkSums {
  Scan scan;
  int64_t zeros = 0;
  double sum = 0, squares = 0;  // if requested
};

// Counts one array of at most 2^30 values in its own tables, then moves the counts to a histogram.
// Each thread has one (1 MB).
class ChunkCounter {
 public:
  // Counts nothing if a value is not finite.
  ChunkSums Count(std::span<const float> values, bool moments);
  // Adds the counts of the last Count to `histogram` and clears them.
  void MoveTo(Histogram* histogram, const Scan& scan);

 private:
  // Two tables, one after the other.
  uint32_t table_[2 * Histogram::kBuckets] = {};
};

}  // namespace roundel::quant
