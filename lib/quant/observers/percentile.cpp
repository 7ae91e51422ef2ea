// percentile: the range that holds a given share of the values, so that a few outliers do not cost
// all the others resolution.
//
// Values are counted in a histogram keyed by their float bits: the sign, the exponent and the upper
// 8 bits of the mantissa name a bucket. No range has to be known beforehand, nothing is ever
// re-binned, a bucket is at most 2^-8 of its value wide, and merging is integer addition: the
// result does not depend on the order of the values, the batches or the threads.
//
//   asymmetric grid: [Q((1-p)/2), Q((1+p)/2)] of the values;   symmetric grid: [-Q(p), Q(p)] of |x|
//
// with Q(f) the value below which the share f of the mass lies, linear inside a bucket, clipped to
// the exact minimum and maximum. p = 100 is min_max.

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <mutex>

#include "lib/base/parallel.h"
#include "lib/quant/observers/methods.h"
#include "lib/quant/observers/scan.h"

namespace roundel::quant {
namespace {

constexpr int kShift = 15;                             // mantissa bits that a bucket leaves open
constexpr uint32_t kMagnitudes = 1u << (31 - kShift);  // buckets of one sign; negative ones follow
constexpr uint32_t kBuckets = 2 * kMagnitudes;
constexpr int64_t kGrain = 1 << 16;  // elements per chunk: 32-bit counts suffice

// Lower edge of bucket `magnitude` of |x|. Bucket 0 (zeros and the smallest denormals) counts as
// zero throughout; the bucket after the last finite one would start at infinity.
double Edge(uint32_t magnitude) {
  if (magnitude <= 1) return 0;
  return std::min(std::bit_cast<float>(magnitude << kShift), std::numeric_limits<float>::max());
}

// Counters of one chunk. Neighbouring elements use different tables: many are equal (zeros after a
// Relu), and two increments of one address in a row wait for each other.
struct Scratch {
  uint32_t tables[2][kBuckets];
};

void CountChunk(const float* values, int64_t n, Scratch& scratch) {
  int64_t i = 0;
  for (; i + 1 < n; i += 2) {
    ++scratch.tables[0][std::bit_cast<uint32_t>(values[i]) >> kShift];
    ++scratch.tables[1][std::bit_cast<uint32_t>(values[i + 1]) >> kShift];
  }
  if (i < n) ++scratch.tables[0][std::bit_cast<uint32_t>(values[i]) >> kShift];
}

// The quantile of a sequence of (bucket edges, count) visited in rising order.
struct QuantileSearch {
  double rank;  // how much mass lies below the answer
  double below = 0, answer = 0;
  bool found = false;

  void Visit(double low, double high, uint64_t count) {
    if (found || count == 0) return;
    const auto mass = static_cast<double>(count);
    answer = high;  // holds if rounding lets the search run past the last bucket
    if (below + mass >= rank) {
      answer = low + (rank - below) / mass * (high - low);
      found = true;
    }
    below += mass;
  }
};

class Percentile : public Observer {
 public:
  explicit Percentile(double percentile)
      : share_(percentile / 100),
        // Zeroed lazily by the kernel: only the pages of magnitudes that occur take memory.
        counts_(static_cast<uint64_t*>(std::calloc(kBuckets, sizeof(uint64_t))), std::free) {
    INVARIANT(counts_ != nullptr, "out of memory");
  }

  Status Observe(std::span<const float> values) override {
    ASSIGN_OR_RETURN(const Scan scan, ScanFinite(values));
    ParallelFor(static_cast<int64_t>(values.size()), kGrain,
                [&](int64_t begin, int64_t end) { Count(values.data() + begin, end - begin); });
    scan_ = CombineScans(scan_, scan);
    count_ += static_cast<int64_t>(values.size());
    return OkStatus();
  }

  void Merge(const Observer& other) override {
    const auto* same = dynamic_cast<const Percentile*>(&other);
    INVARIANT(same, "observers of different methods");
    for (uint32_t i = 0; i < kBuckets; ++i)
      if (same->counts_[i] != 0) counts_[i] += same->counts_[i];  // reads share the zero page
    scan_ = CombineScans(scan_, same->scan_);
    count_ += same->count_;
  }

  Range Compute(const Grid& grid) const override {
    if (count_ == 0) return {};
    const auto clip = [this](double x) { return std::clamp<double>(x, scan_.min, scan_.max); };
    if (grid.symmetric) {
      const double magnitude = MagnitudeQuantile(share_);
      return {clip(-magnitude), clip(magnitude)};
    }
    return {clip(Quantile((1 - share_) / 2)), clip(Quantile((1 + share_) / 2))};
  }

  int64_t count() const override { return count_; }
  Range seen() const override { return count_ == 0 ? Range{} : Range{scan_.min, scan_.max}; }

 private:
  void Count(const float* values, int64_t n) {
    thread_local const auto scratch = std::make_unique<Scratch>();
    CountChunk(values, n, *scratch);
    const Scan scan = ScanChunk(values, n);
    const std::scoped_lock lock(mutex_);
    // The buckets that the chunk can have touched: zero, and the span of its magnitudes per sign.
    const uint32_t smallest = scan.smallest == 0xffffffffu ? 0 : (scan.smallest + 1) >> kShift;
    const auto largest = [](float x) { return std::bit_cast<uint32_t>(x) << 1 >> 1 >> kShift; };
    Drain(*scratch, 0, 0);
    Drain(*scratch, kMagnitudes, kMagnitudes);
    if (scan.max > 0) Drain(*scratch, smallest, largest(scan.max));
    if (scan.min < 0) Drain(*scratch, kMagnitudes + smallest, kMagnitudes + largest(scan.min));
  }

  // Moves the scratch counts of buckets [first, last] to the main table.
  void Drain(Scratch& scratch, uint32_t first, uint32_t last) {
    for (uint32_t i = first; i <= last; ++i) {
      const uint32_t count = scratch.tables[0][i] + scratch.tables[1][i];
      if (count == 0) continue;
      counts_[i] += count;
      scratch.tables[0][i] = scratch.tables[1][i] = 0;
    }
  }

  double Quantile(double share) const {
    QuantileSearch search{share * static_cast<double>(count_)};
    for (uint32_t m = kMagnitudes; m-- > 0 && !search.found;)
      search.Visit(-Edge(m + 1), -Edge(m), counts_[kMagnitudes + m]);
    for (uint32_t m = 0; m < kMagnitudes && !search.found; ++m)
      search.Visit(Edge(m), Edge(m + 1), counts_[m]);
    return search.answer;
  }

  double MagnitudeQuantile(double share) const {
    QuantileSearch search{share * static_cast<double>(count_)};
    for (uint32_t m = 0; m < kMagnitudes && !search.found; ++m)
      search.Visit(Edge(m), Edge(m + 1), counts_[m] + counts_[kMagnitudes + m]);
    return search.answer;
  }

  double share_;
  std::unique_ptr<uint64_t[], decltype(&std::free)> counts_;
  std::mutex mutex_;
  Scan scan_;
  int64_t count_ = 0;
};

}  // namespace

std::unique_ptr<Observer> MakePercentile(const ObserverOptions& options) {
  return std::make_unique<Percentile>(options.percentile);
}

}  // namespace roundel::quant
