#include "lib/quant/masking.h"

#include <algorithm>
#include <cmath>

namespace roundel::quant {

namespace {

// True if the gap is too small to separate a mask from scores with this span.
bool Separates(double gap, double span, bool known) {
  return known ? gap > 30 && gap > span / 2 : gap > 50 && gap > 4 * span;
}

}  // namespace

std::optional<double> LeastUnmasked(const Distribution& values, bool known) {
  const auto& bins = values.bins();
  for (size_t i = bins.size(); i-- > 1;) {
    const double least = bins[i].low, masked = bins[i - 1].high;
    const double gap = least - masked, span = values.range().max - least;
    if (masked < 0 && Separates(gap, span, known)) return least;
  }
  return std::nullopt;
}

std::optional<double> MostUnmasked(const Distribution& values, bool known) {
  const auto& bins = values.bins();
  for (size_t i = 0; i + 1 < bins.size(); ++i) {
    const double most = bins[i].high, masked = bins[i + 1].low;
    const double gap = masked - most, span = most - values.range().min;
    if (masked > 0 && Separates(gap, span, known)) return most;
  }
  return std::nullopt;
}

Evidence FromValue(const Evidence& evidence, double least) {
  Evidence rest = evidence;
  rest.seen.min = std::max(rest.seen.min, least);
  rest.values = evidence.values.From(least);
  for (SampleRange& sample : rest.samples) {
    sample.min = std::max(sample.min, static_cast<float>(least));
    sample.max = std::max(sample.max, static_cast<float>(least));
  }
  return rest;
}

double MaskReach(const Grid& grid) { return 2 * std::log(2.0) * grid.bits; }

}  // namespace roundel::quant
