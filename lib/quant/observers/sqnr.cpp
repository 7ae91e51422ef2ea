// sqnr: AIMET's post_training_tf_enhanced. Of a fixed set of grids the one with the least
//
//   (error of the values inside) + gamma * (error of the values that are clipped),   gamma = 3.
//
//   asymmetric: steps of k/16 of min_max's, k = 1..17, each at 21 offsets spread evenly over the
//   grid, cut to what was seen; and min_max itself.   symmetric: 101 steps up to min_max's.
//
// Two differences from AIMET: the histogram needs no initial range, so that no value is outside it,
// and all samples have the same weight.

#include <algorithm>
#include <cmath>

#include "lib/quant/observers/methods.h"
#include "lib/quant/observers/search.h"

namespace roundel::quant {
namespace {

class Sqnr : public Observer {
 public:
  explicit Sqnr(double gamma) : gamma_(gamma) {}
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid& grid) const override {
    if (!grid.is_plain()) return LeastSquaredError(evidence, grid);
    const Range seen{std::min(0.0, evidence.seen.min), std::max(0.0, evidence.seen.max)};
    Range best = seen;
    double least = Cost(evidence, best, grid);
    for (const Range& candidate : grid.symmetric ? Symmetric(seen) : Asymmetric(seen, grid)) {
      const double cost = Cost(evidence, candidate, grid);
      if (!(cost < least)) continue;
      least = cost;
      best = candidate;
    }
    return best;
  }

 private:
  double Cost(const Evidence& evidence, const Range& range, const Grid& grid) const {
    const QuantizationError error =
        ErrorOf(evidence.values, ParamsFromRange(range.min, range.max, grid), grid);
    return error.rounding + gamma_ * error.clipping;
  }

  static std::vector<Range> Symmetric(const Range& seen) {
    constexpr int kSteps = 101;
    const double magnitude = std::max(-seen.min, seen.max);
    std::vector<Range> ranges;
    for (int k = 1; k <= kSteps; ++k)
      ranges.push_back({-magnitude * k / kSteps, magnitude * k / kSteps});
    return ranges;
  }

  static std::vector<Range> Asymmetric(const Range& seen, const Grid& grid) {
    constexpr int kSteps = 17, kUnit = 16, kOffsets = 21;
    const double steps = double{1} * grid.qmax() - grid.qmin();
    const double step = (seen.max - seen.min) / steps;
    std::vector<Range> ranges;
    for (int k = 1; k <= kSteps; ++k) {
      for (int i = 0; i < kOffsets; ++i) {
        const double delta = step * k / kUnit;
        const double offset = std::nearbyint(-steps + steps * i / (kOffsets - 1));
        const Range range{std::max(seen.min, delta * offset),
                          std::min(seen.max, delta * (offset + steps))};
        if (range.min < range.max) ranges.push_back(range);
      }
    }
    return ranges;
  }

  double gamma_;
};

}  // namespace

std::unique_ptr<Observer> MakeSqnr(const MethodOptions& options) {
  return std::make_unique<Sqnr>(options.gamma);
}

}  // namespace roundel::quant
