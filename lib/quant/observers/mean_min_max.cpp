// mean_min_max: the mean of the samples' minima and the mean of their maxima. One unusual sample
// changes the range only by its share; a typical sample is not clipped.

#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

class MeanMinMax : public Observer {
 public:
  StatisticsNeeds needs() const override { return {.samples = true}; }

  Range Compute(const Evidence& evidence, const Grid&) const override {
    if (evidence.samples.empty()) return evidence.seen;
    ExactSum min, max;
    for (const SampleRange& sample : evidence.samples) {
      min.Add(sample.min);
      max.Add(sample.max);
    }
    const auto count = static_cast<double>(evidence.samples.size());
    return {min.Value() / count, max.Value() / count};
  }
};

}  // namespace

std::unique_ptr<Observer> MakeMeanMinMax(const MethodOptions&) {
  return std::make_unique<MeanMinMax>();
}

}  // namespace roundel::quant
