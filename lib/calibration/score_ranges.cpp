#include "lib/calibration/score_ranges.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/quant/masking.h"

namespace roundel::calibration {

using quant::Range;
using quant::Role;

namespace {

// For scores without a range: they stay float, and no score is this large.
constexpr double kUnknownWidth = 1000;
// Factors of at least this size turn zeros and ones into a mask.
constexpr double kMaskFactor = 1000;

}  // namespace

bool ScoreRanges::Covers(const Group& group) const {
  return std::all_of(group.begin(), group.end(), [this](const target::QuantPoint* point) {
    return point->role == Role::kActivation ? values_.HasRangeOfScores(point->value)
                                            : values_.Contains(point->value);
  });
}

// Zeros and ones that are multiplied by a constant of a mask's magnitude.
bool ScoreRanges::IsSwitch(const std::string& value) const {
  const auto& sinks = values_.SinksOf(value);
  return std::all_of(sinks.begin(), sinks.end(),
                     [](const auto& sink) { return std::fabs(sink.second.factor) >= kMaskFactor; });
}

bool ScoreRanges::IsSubtracted(const std::string& value) const {
  const auto& sinks = values_.SinksOf(value);
  return std::all_of(sinks.begin(), sinks.end(),
                     [](const auto& sink) { return sink.second.factor < 0; });
}

void ScoreRanges::FindMasks(const std::map<std::string, quant::ValueStatistics>& seen) {
  std::set<std::string> sources;
  for (const auto& [value, statistics] : seen) {
    if (!values_.Contains(value) || IsSwitch(value) || !statistics.needs().histogram) continue;
    const auto& sinks = values_.SinksOf(value);
    const bool added =
        std::any_of(sinks.begin(), sinks.end(), [](const auto& sink) { return sink.second.added; });
    const Range range = statistics.seen();
    const quant::Distribution values = quant::Distribution::Of(statistics);
    // A mask that no sample has used is all zeros.
    if (quant::LeastUnmasked(values) || quant::MostUnmasked(values) ||
        (added && range.min == 0 && range.max == 0))
      sources.insert(value);
  }
  masked_ = values_.MaskedBy(sources);
}

ScoreRanges::Unmasked ScoreRanges::Cut(const Group& group,
                                       const quant::Distribution& values) const {
  Unmasked cut;
  bool masked = false, subtracted = true;
  for (const target::QuantPoint* point : group) {
    if (!values_.Contains(point->value)) continue;
    if (IsSwitch(point->value)) return cut;
    masked |= masked_.contains(point->value);
    subtracted &= IsSubtracted(point->value);
  }
  const Range range = values.range();
  cut.none = masked && !subtracted && range.max <= -kUnknownWidth;
  cut.least = cut.none ? 0 : quant::LeastUnmasked(values, masked && !subtracted);
  cut.most = quant::MostUnmasked(values, masked && subtracted);
  if (!masked || cut.least || cut.most) return cut;
  if (subtracted)
    cut.most = range.max;
  else
    cut.least = range.min;
  return cut;
}

void ScoreRanges::Note(const Group& group, const Unmasked& unmasked, const quant::Grid& grid,
                       const Range& range) {
  const double reach = unmasked.least || unmasked.most ? quant::MaskReach(grid) : 0;
  for (const target::QuantPoint* point : group)
    width_[point->value] = std::max(range.max, 0.0) - std::min(range.min, 0.0) + reach;
}

double ScoreRanges::WidthOf(const std::string& sink) const {
  const auto found = width_.find(sink);
  return found == width_.end() ? kUnknownWidth : found->second;
}

double ScoreRanges::Drop(const std::string& value, bool always) const {
  double drop = 0;
  for (const auto& [sink, path] : values_.SinksOf(value))
    if (always || path.added) drop = std::max(drop, WidthOf(sink) / std::fabs(path.factor));
  return drop;
}

Range ScoreRanges::WithMask(const Group& group, const Unmasked& unmasked, const quant::Grid& grid,
                            Range range) const {
  double drop = 0;
  bool is_switch = false, subtracted = true;
  for (const target::QuantPoint* point : group) {
    if (!values_.Contains(point->value)) continue;
    is_switch |= IsSwitch(point->value);
    subtracted &= IsSubtracted(point->value);
    drop = std::max(drop, Drop(point->value, unmasked.none || point->role == Role::kWeight));
  }
  // Never on in these samples, but the grid must be able to represent it.
  if (is_switch && range.min == 0 && range.max == 0) return subtracted ? Range{0, 1} : Range{-1, 0};
  const double room = std::max(drop, quant::MaskReach(grid));
  if (unmasked.least) range.min -= room;
  if (unmasked.most) range.max += room;
  return range;
}

Range ScoreRanges::ConstantRange(const std::string& value, const Tensor& constant,
                                 bool room) const {
  const Tensor floats = constant.ToFloat();
  std::vector<float> finite;
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (const float x : floats.span<float>())
    if (x == x) finite.push_back(std::clamp(x, -kLargest, kLargest));
  const auto values = quant::Distribution::Of(finite);
  Range rest = values.range();
  if (const auto least = quant::LeastUnmasked(values)) rest.min = *least;
  if (const auto most = quant::MostUnmasked(values)) rest.max = *most;
  if (rest.max <= -kUnknownWidth || rest.min >= kUnknownWidth) rest = {};  // all of it is a mask
  if (!room) return rest;
  const double drop = Drop(value, true);
  const Range whole = values.range();
  if (whole.min < rest.min) rest.min -= drop;
  if (whole.max > rest.max) rest.max += drop;
  return rest;
}

}  // namespace roundel::calibration
