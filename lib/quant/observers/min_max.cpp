// min_max: the exact range of all seen values. Best for data without outliers; one outlier reduces
// the resolution of all other values (see percentile).

#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

class MinMax : public Observer {
 public:
  StatisticsNeeds needs() const override { return {}; }
  Range Compute(const Evidence& evidence, const Grid&) const override { return evidence.seen; }
};

}  // namespace

std::unique_ptr<Observer> MakeMinMax(const MethodOptions&) { return std::make_unique<MinMax>(); }

}  // namespace roundel::quant
