#include "lib/calibration/range_facts.h"

#include <cmath>

#include "lib/calibration/unknown_ranges.h"
#include "lib/quant/distribution.h"
#include "lib/quant/float_grid.h"

namespace roundel::calibration {
namespace {

constexpr int kParts = 64;           // of a histogram
constexpr size_t kNamedValues = 16;  // of a group: the others share its range, too

const quant::ValueStatistics* SeenOf(const GridMaking& s, const Group& group) {
  for (const target::QuantPoint* point : group)
    if (const auto seen = s.seen.values.find(point->value);
        NeedsData(*point) && seen != s.seen.values.end())
      return &seen->second;
  return nullptr;
}

}  // namespace

void AddDistribution(const quant::ValueStatistics& seen, const quant::QParams& params,
                     const quant::Grid& grid, report::RangeFacts* facts) {
  const auto values = quant::Distribution::Of(seen);
  if (!(values.mass() > 0)) return;
  const quant::Range range = {facts->seen_low, facts->seen_high};
  std::vector<double> edges;
  for (int i = 0; i <= kParts; ++i)
    edges.push_back(range.min + (range.max - range.min) * i / kParts);
  const std::vector<double> below = values.MassBelow(edges);
  for (size_t i = 0; i < kParts; ++i) {
    // The last edge is itself a value.
    const double end = i + 1 == kParts ? values.mass() : below[i + 1];
    facts->histogram.push_back((end - (i == 0 ? 0 : below[i])) / values.mass());
  }
  const quant::Moments all = values.Below(HUGE_VAL);
  const double error = quant::ErrorOf(values, params, grid).total();
  if (all.squares > 0 && error > 0) facts->sqnr = 10 * std::log10(all.squares / error);
  // Half a step outside of the ends is rounded to them.
  const std::vector<double> outside = values.MassBelow(
      {facts->low - std::fabs(params.scale) / 2, facts->high + std::fabs(params.scale) / 2});
  if (range.min < facts->low) facts->clipped_low = outside[0] / values.mass();
  if (range.max > facts->high) facts->clipped_high = 1 - outside[1] / values.mass();
}

report::RangeFacts RangeFactsOf(const GridMaking& s, const Group& group, const GroupRange& found,
                                const quant::QParams& params) {
  report::RangeFacts facts = {.grid = found.grid.Name(), .method = found.decision.method};
  for (const target::QuantPoint* point : group)
    if (facts.values.size() < kNamedValues) facts.values.push_back(point->value);
  const double scale = params.scale;
  if (found.grid.is_float()) {
    facts.high = scale * quant::LargestFloat(found.grid);
    facts.low = -facts.high;
  } else {
    facts.low = (found.grid.qmin() - params.zero_point) * scale;
    facts.high = (found.grid.qmax() - params.zero_point) * scale;
  }
  const quant::ValueStatistics* seen = SeenOf(s, group);
  if (seen == nullptr) return facts;
  facts.seen_low = seen->seen().min;
  facts.seen_high = seen->seen().max;
  if (seen->needs().histogram) AddDistribution(*seen, params, found.grid, &facts);
  return facts;
}

}  // namespace roundel::calibration
