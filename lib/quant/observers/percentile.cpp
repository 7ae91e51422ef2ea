// percentile: the range that holds a given share p of the values, so that a few outliers do not
// cost all the others resolution.
//
//   asymmetric grid: [Q((1-p)/2), Q((1+p)/2)] of the values;   symmetric grid: [-Q(p), Q(p)] of |x|
//
// with Q(f) the value below which the share f of the mass lies, linear inside a bin, clipped to the
// exact minimum and maximum. p = 100 is min_max. Each tail may have a share of its own instead.
// What outliers cost falls with the number of steps, so that nothing is cut off on grids wider than
// 8 bits unless p says so; nor where the rarest values are what the model is for (Evidence).

#include <algorithm>

#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

class Percentile : public Observer {
 public:
  explicit Percentile(const MethodOptions& options) : options_(options) {}
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid& grid) const override {
    const Distribution& values = evidence.values;
    const Range seen = evidence.seen;
    const auto clip = [&](double x) { return std::clamp(x, seen.min, seen.max); };
    const double kept = Kept(evidence, grid) / 100;
    const auto tail = [&](double given) { return given >= 0 ? given / 100 : (1 - kept) / 2; };
    if (grid.symmetric) {
      const double magnitude = values.MagnitudeQuantile(kept * values.mass());
      return {clip(-magnitude), clip(magnitude)};
    }
    return {clip(values.Quantile(tail(options_.lower_tail) * values.mass())),
            clip(values.Quantile((1 - tail(options_.upper_tail)) * values.mass()))};
  }

 private:
  double Kept(const Evidence& evidence, const Grid& grid) const {
    if (options_.percentile != -1) return options_.percentile;
    return grid.bits > 8 || evidence.rare_values_count ? 100 : 99.995;
  }

  const MethodOptions options_;
};

}  // namespace

std::unique_ptr<Observer> MakePercentile(const MethodOptions& options) {
  return std::make_unique<Percentile>(options);
}

}  // namespace roundel::quant
