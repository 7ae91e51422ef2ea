#include "lib/quant/few_values.h"

#include <algorithm>
#include <cmath>

namespace roundel::quant {
namespace {

constexpr int64_t kEnoughSamples = 16, kEnoughValues = 4096;
constexpr double kPerOctave = 0.1;
// Values within this share of the seen range from an end count as equal to it.
constexpr double kAtEnd = 1e-3;
// At least this many values at an end, and this share of all, make it a bound.
constexpr double kPile = 2, kPiledShare = 0.01;

bool IsBound(double at_end, double all) { return at_end >= std::max(kPile, kPiledShare * all); }

}  // namespace

double FewValuesFactor(int64_t samples, int64_t values) {
  if (samples <= 0 || samples >= kEnoughSamples || values <= 0 || values >= kEnoughValues) return 1;
  const double lacking = 1 - static_cast<double>(samples) / static_cast<double>(kEnoughSamples);
  const double octaves =
      std::log2(static_cast<double>(kEnoughValues) / static_cast<double>(values));
  return 1 + lacking * kPerOctave * octaves;
}

Range WidenedForFewValues(const Range& range, const Distribution& seen, int64_t samples) {
  const double all = seen.mass(), factor = FewValuesFactor(samples, static_cast<int64_t>(all));
  const Range whole = seen.range();
  const double spread = whole.max - whole.min;
  if (factor == 1 || !(spread > 0)) return range;
  const double middle = seen.Quantile(all / 2), near = kAtEnd * spread;
  const auto room = [&](double end) {
    return (factor - 1) * std::max(spread / 2, std::fabs(end - middle));
  };
  Range wide = range;
  const bool cut_below = seen.Below(range.min).mass >= 1;
  if (!cut_below && !IsBound(seen.Below(whole.min + near).mass, all)) wide.min -= room(whole.min);
  const bool cut_above = all - seen.Below(range.max).mass >= 1;
  if (!cut_above && !IsBound(all - seen.Below(whole.max - near).mass, all))
    wide.max += room(whole.max);
  return wide;
}

}  // namespace roundel::quant
