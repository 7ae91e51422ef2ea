// percentile: the range that holds a given share p of the values, so that a few outliers do not
// cost all the others resolution.
//
//   asymmetric grid: [Q((1-p)/2), Q((1+p)/2)] of the values;   symmetric grid: [-Q(p), Q(p)] of |x|
//
// with Q(f) the value below which the share f of the mass lies, linear inside a bin, clipped to the
// exact minimum and maximum. p = 100 is min_max. Each tail may have a share of its own instead.

#include <algorithm>

#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

class Percentile : public Observer {
 public:
  explicit Percentile(const MethodOptions& options) : kept_(options.percentile / 100) {
    const auto tail = [&](double given) { return given >= 0 ? given / 100 : (1 - kept_) / 2; };
    lower_ = tail(options.lower_tail);
    upper_ = tail(options.upper_tail);
  }
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid& grid) const override {
    const Distribution& values = evidence.values;
    const Range seen = evidence.seen;
    const auto clip = [&](double x) { return std::clamp(x, seen.min, seen.max); };
    if (grid.symmetric) {
      const double magnitude = values.MagnitudeQuantile(kept_ * values.mass());
      return {clip(-magnitude), clip(magnitude)};
    }
    return {clip(values.Quantile(lower_ * values.mass())),
            clip(values.Quantile((1 - upper_) * values.mass()))};
  }

 private:
  double kept_, lower_, upper_;
};

}  // namespace

std::unique_ptr<Observer> MakePercentile(const MethodOptions& options) {
  return std::make_unique<Percentile>(options);
}

}  // namespace roundel::quant
