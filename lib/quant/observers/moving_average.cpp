// moving_average: minimum and maximum of single samples as an exponential moving average,
//
//    m_1 = min x_1,   m_i = m_(i-1) + c (min x_i - m_(i-1)),   c = 0.01 as in ONNX Runtime,
//
// and the maximum likewise. Samples are in the order of the data, independent of threads and
// batches. (A value whose first axis is not the sample axis has one pair of extremes per batch.)
// With fewer than a few hundred samples the first ones have the largest weight: then mean_min_max
// is better.

#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

class MovingAverage : public Observer {
 public:
  explicit MovingAverage(double weight) : weight_(weight) {}
  StatisticsNeeds needs() const override { return {.samples = true}; }

  Range Compute(const Evidence& evidence, const Grid&) const override {
    if (evidence.samples.empty()) return evidence.seen;
    Range range{evidence.samples[0].min, evidence.samples[0].max};
    for (const SampleRange& sample : evidence.samples) {
      range.min += weight_ * (sample.min - range.min);
      range.max += weight_ * (sample.max - range.max);
    }
    return range;
  }

 private:
  double weight_;
};

}  // namespace

std::unique_ptr<Observer> MakeMovingAverage(const MethodOptions& options) {
  return std::make_unique<MovingAverage>(options.averaging);
}

}  // namespace roundel::quant
