#include "lib/quant/statistics.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "lib/base/parallel.h"

namespace roundel::quant {
namespace {

// Values per chunk: large enough that moving bucket counts is cheap relative to counting.
constexpr int64_t kGrain = 1 << 18;

}  // namespace

ValueStatistics::ValueStatistics(StatisticsNeeds needs) : needs_(needs) {
  if (needs.histogram) histogram_.emplace();
}

Range ValueStatistics::seen() const { return count_ == 0 ? Range{} : Range{scan_.min, scan_.max}; }

double ValueStatistics::mean() const {
  return count_ == 0 ? 0 : sum_.Value() / static_cast<double>(count_);
}

double ValueStatistics::second_moment() const {
  return count_ == 0 ? 0 : squares_.Value() / static_cast<double>(count_);
}

const Histogram& ValueStatistics::histogram() const {
  INVARIANT(histogram_.has_value(), "a histogram that was not asked for");
  return *histogram_;
}

Histogram& ValueStatistics::mutable_histogram() {
  INVARIANT(histogram_.has_value(), "a histogram that was not asked for");
  return *histogram_;
}

Status ValueStatistics::Observe(std::span<const float> values, int64_t parts) {
  const int64_t size = std::ssize(values);
  INVARIANT(parts > 0 && size % parts == 0, "parts of unequal length");
  if (needs_.histogram) RETURN_IF_ERROR(ObserveHistogram(values));
  const int64_t runs = needs_.samples && size > 0 ? parts : 1;
  for (int64_t i = 0; i < runs && (needs_.samples || !needs_.histogram); ++i) {
    const auto length = static_cast<size_t>(size / runs);
    ASSIGN_OR_RETURN(const Scan scan,
                     ScanFinite(values.subspan(static_cast<size_t>(i) * length, length)));
    scan_ = CombineScans(scan_, scan);
    if (needs_.samples && length > 0) samples_.push_back({scan.min, scan.max});
  }
  count_ += size;
  return OkStatus();
}

// A single pass over the values, while they are in the cache.
Status ValueStatistics::ObserveHistogram(std::span<const float> values) {
  const int64_t size = std::ssize(values);
  std::vector<ChunkSums> chunks(static_cast<size_t>((size + kGrain - 1) / kGrain));
  std::mutex mutex;
  ParallelFor(size, kGrain, [&](int64_t begin, int64_t end) {
    thread_local const auto counter = std::make_unique<ChunkCounter>();
    ChunkSums& chunk = chunks[static_cast<size_t>(begin / kGrain)];
    chunk =
        counter->Count(values.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                       needs_.moments);
    if (!IsFinite(chunk.scan)) return;
    const std::scoped_lock lock(mutex);
    counter->MoveTo(&*histogram_, chunk.scan);
  });
  for (const ChunkSums& chunk : chunks) scan_ = CombineScans(scan_, chunk.scan);
  RETURN_IF_ERROR(CheckFinite(scan_));
  for (const ChunkSums& chunk : chunks) {
    zeros_ += chunk.zeros;
    sum_.Add(chunk.sum);
    squares_.Add(chunk.squares);
  }
  return OkStatus();
}

void ValueStatistics::AddTotals(const ValueStatistics& other) {
  INVARIANT(needs_ == other.needs_, "statistics of different kinds");
  count_ += other.count_;
  zeros_ += other.zeros_;
  scan_ = CombineScans(scan_, other.scan_);
  sum_.Add(other.sum_);
  squares_.Add(other.squares_);
  if (histogram_) histogram_->Add(*other.histogram_);
}

void ValueStatistics::Append(const ValueStatistics& later) {
  AddTotals(later);
  samples_.insert(samples_.end(), later.samples_.begin(), later.samples_.end());
}

void ValueStatistics::Unite(const ValueStatistics& other) {
  AddTotals(other);
  const size_t both = std::min(samples_.size(), other.samples_.size());
  for (size_t i = 0; i < both; ++i) {
    samples_[i].min = std::min(samples_[i].min, other.samples_[i].min);
    samples_[i].max = std::max(samples_[i].max, other.samples_[i].max);
  }
  samples_.insert(samples_.end(), other.samples_.begin() + static_cast<ptrdiff_t>(both),
                  other.samples_.end());
}

ValueStatistics::Totals ValueStatistics::totals() const {
  const Range range = seen();
  return {count_,
          zeros_,
          sum_.Value(),
          squares_.Value(),
          {static_cast<float>(range.min), static_cast<float>(range.max)}};
}

ValueStatistics ValueStatistics::Restore(StatisticsNeeds needs, const Totals& totals) {
  ValueStatistics restored(needs);
  restored.count_ = totals.count;
  restored.zeros_ = totals.zeros;
  restored.sum_.Add(totals.sum);
  restored.squares_.Add(totals.squares);
  if (totals.count > 0) {
    restored.scan_.min = totals.seen.min;
    restored.scan_.max = totals.seen.max;
  }
  return restored;
}

}  // namespace roundel::quant
