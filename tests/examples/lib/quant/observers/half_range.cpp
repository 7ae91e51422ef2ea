// half_range: half of the range of all seen values.

#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

class HalfRange : public Observer {
 public:
  StatisticsNeeds needs() const override { return {}; }
  Range Compute(const Evidence& evidence, const Grid&) const override {
    return {evidence.seen.min / 2, evidence.seen.max / 2};
  }
};

}  // namespace

std::unique_ptr<Observer> MakeHalfRange(const MethodOptions&) {
  return std::make_unique<HalfRange>();
}

}  // namespace roundel::quant
