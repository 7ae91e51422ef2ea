// min_max: the exact range of everything seen. Best where no outliers hide in the data, and what
// weights use; one outlier costs all other values resolution (see percentile).

#include <algorithm>

#include "lib/quant/observers/methods.h"
#include "lib/quant/observers/scan.h"

namespace roundel::quant {
namespace {

class MinMax : public Observer {
 public:
  Status Observe(std::span<const float> values) override {
    ASSIGN_OR_RETURN(const Scan scan, ScanFinite(values));
    scan_ = CombineScans(scan_, scan);
    count_ += static_cast<int64_t>(values.size());
    return OkStatus();
  }

  void Merge(const Observer& other) override {
    const auto* same = dynamic_cast<const MinMax*>(&other);
    INVARIANT(same, "observers of different methods");
    scan_ = CombineScans(scan_, same->scan_);
    count_ += same->count_;
  }

  Range Compute(const Grid&) const override { return seen(); }
  int64_t count() const override { return count_; }
  Range seen() const override { return count_ == 0 ? Range{} : Range{scan_.min, scan_.max}; }

 private:
  Scan scan_;
  int64_t count_ = 0;
};

}  // namespace

std::unique_ptr<Observer> MakeMinMax(const ObserverOptions&) { return std::make_unique<MinMax>(); }

}  // namespace roundel::quant
