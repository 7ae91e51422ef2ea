// percentile: the range that holds a given share p of the values, so that a few outliers do not
// reduce the resolution of all others.
//
//   asymmetric grid: [Q((1-p)/2), Q((1+p)/2)] of the values;   symmetric grid: [-Q(p), Q(p)] of |x|
//
// with Q(f) the value below which the share f of the mass lies, linear inside a bin, clipped to the
// exact minimum and maximum. p = 100 is min_max. Each tail may have a separate share instead. The
// cost of outliers falls with the number of steps, so that nothing is clipped on grids wider than 8
// bits unless p is given. If rare values may matter (Evidence::rare_values_count), no fixed share
// can be clipped: unless p is given, `auto` weighs the cost of clipping against finer steps.

#include <algorithm>

#include "lib/quant/observers/methods.h"

namespace roundel::quant {
namespace {

class Percentile : public Observer {
 public:
  explicit Percentile(const MethodOptions& options) : options_(options) {}
  StatisticsNeeds needs() const override { return {.histogram = true}; }

  Range Compute(const Evidence& evidence, const Grid& grid) const override {
    return Decide(evidence, grid).range;
  }

  Decision Decide(const Evidence& evidence, const Grid& grid) const override {
    if (!evidence.rare_values_count || options_.percentile != -1 || grid.bits > 8)
      return {Cut(evidence, grid), name()};
    Evidence plain = evidence;
    plain.rare_values_count = false;  // `auto` has its own candidates
    return MakeAuto(options_)->Decide(plain, grid);
  }

 private:
  Range Cut(const Evidence& evidence, const Grid& grid) const {
    const Distribution& values = evidence.values;
    const Range seen = evidence.seen;
    const auto clip = [&](double x) { return std::clamp(x, seen.min, seen.max); };
    const double kept = Kept(grid) / 100;
    const auto tail = [&](double given) { return given >= 0 ? given / 100 : (1 - kept) / 2; };
    if (grid.symmetric) {
      const double magnitude = values.MagnitudeQuantile(kept * values.mass());
      return {clip(-magnitude), clip(magnitude)};
    }
    return {clip(values.Quantile(tail(options_.lower_tail) * values.mass())),
            clip(values.Quantile((1 - tail(options_.upper_tail)) * values.mass()))};
  }

  double Kept(const Grid& grid) const {
    if (options_.percentile != -1) return options_.percentile;
    return grid.bits > 8 ? 100 : 99.995;
  }

  const MethodOptions options_;
};

}  // namespace

std::unique_ptr<Observer> MakePercentile(const MethodOptions& options) {
  return std::make_unique<Percentile>(options);
}

}  // namespace roundel::quant
