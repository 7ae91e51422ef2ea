// min_max: the exact range of everything seen. Best where no outliers hide in the data; one outlier
// costs all other values resolution (see percentile).

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
