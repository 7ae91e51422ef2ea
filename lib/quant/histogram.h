#pragma once
// The one histogram of calibration: streaming, of constant size, and the same whatever the order
// of the values, the cut into batches, threads, runs or machines, because merging adds integers.
//
// A bucket is named by the upper 17 bits of a float: sign, exponent, and 8 bits of the mantissa. No
// range has to be known beforehand and nothing is ever re-binned.
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
  static constexpr int kOpenBits = 15;  // mantissa bits that a bucket leaves open
  static constexpr uint32_t kMagnitudes = 1u << (31 - kOpenBits);
  static constexpr uint32_t kBuckets = 2 * kMagnitudes;  // negative ones follow

  Histogram();
  void Add(const Histogram& other);
  void Add(uint32_t bucket, uint64_t count) { counts_[bucket] += count; }
  uint64_t count(uint32_t bucket) const { return counts_[bucket]; }
  // Lower edge of bucket `magnitude` of |x|; that of kMagnitudes ends the last bucket.
  static double Edge(uint32_t magnitude);
  static uint32_t MagnitudeOf(float x);

 private:
  friend class ChunkCounter;
  // Zeroed lazily by the kernel: only the pages of magnitudes that occur take memory.
  std::unique_ptr<uint64_t[], decltype(&std::free)> counts_;
};

// What one look at a run of values tells beside the buckets.
struct ChunkSums {
  Scan scan;
  int64_t zeros = 0;
  double sum = 0, squares = 0;  // if they are wanted
};

// Counts one run of at most 2^30 values into tables of its own, then moves the counts over. One per
// thread: 1 MB.
class ChunkCounter {
 public:
  // Counts nothing if the scan finds a value that is not finite.
  ChunkSums Count(std::span<const float> values, bool moments);
  // Adds the counts of the last Count to `histogram` and forgets them.
  void MoveTo(Histogram* histogram, const Scan& scan);

 private:
  // Two tables, one behind the other.
  uint32_t table_[2 * Histogram::kBuckets] = {};
};

}  // namespace roundel::quant
