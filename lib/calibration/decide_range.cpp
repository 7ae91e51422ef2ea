#include "lib/calibration/decide_range.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "lib/base/text.h"
#include "lib/calibration/point_encoding.h"
#include "lib/calibration/unknown_ranges.h"
#include "lib/graph/layer.h"
#include "lib/quant/few_values.h"
#include "lib/quant/masking.h"
#include "lib/quant/tensor_ranges.h"

namespace roundel::calibration {
namespace {

using quant::Role;
using target::QuantPoint;

// The cost of a mean error at `value` for its layers, relative to a random error of the same energy
// (lib/quant/observers/auto.cpp). 1 if no layer with a constant weight reads it.
double MeanErrorWeight(const graph::Graph& graph, const Group& group) {
  double ratios = 0, layers = 0;
  for (const QuantPoint* point : group) {
    for (const graph::Use& use : graph.Uses(point->value)) {
      if (use.index != 0 || !graph::IsLayerOp(*use.node)) continue;
      std::string why;
      const auto layer = graph::MatchLayer(graph, use.node, &why);
      if (!layer) continue;
      const std::vector<double> weight = graph::ReadWeight(graph, *layer);
      double mean = 0, random = 0;
      for (int64_t g = 0; g < layer->groups; ++g) {
        for (int64_t o = 0; o < layer->out_per_group; ++o) {
          double sum = 0;
          for (int64_t i = 0; i < layer->in_per_group; ++i) {
            for (int64_t k = 0; k < layer->kernel; ++k) {
              const double w = weight[static_cast<size_t>(layer->Index(g, o, i, k))];
              sum += w;
              random += w * w;
            }
          }
          mean += sum * sum;
        }
      }
      if (!(random > 0)) continue;
      ratios += mean / random;
      ++layers;
    }
  }
  return layers > 0 ? ratios / layers : 1;
}

// The least value that the group can have, as far as `seen` shows.
double Least(const GridMaking& s, const Group& group, const quant::ValueStatistics* seen) {
  double least = seen ? seen->seen().min : 0;
  for (const QuantPoint* point : group) {
    if (point->fixed_range) least = std::min(least, point->range_min);
    if (point->role != Role::kWeight) continue;
    const Tensor constant = ConstantOf(s.session, point->value).ToFloat();
    for (int64_t i = 0; i < constant.size(); ++i)
      least = std::min(least, double{constant.data<float>()[i]});
  }
  return least;
}

}  // namespace

GroupRange DecideRange(const GridMaking& s, const Group& group,
                       quant::CalibrationStatistics* seen) {
  quant::ValueStatistics* first = nullptr;
  for (const QuantPoint* point : group) {
    if (!NeedsData(*point)) continue;
    const auto found = seen->values.find(point->value);
    if (found == seen->values.end()) continue;  // empty in all samples
    quant::ValueStatistics& statistics = found->second;
    if (first)
      first->Unite(statistics);
    else
      first = &statistics;
  }
  const quant::Grid grid = group[0]->grid.ForValuesFrom(Least(s, group, first));
  if (!first) return {grid, {}, {}, false};
  const bool whole = std::any_of(group.begin(), group.end(),
                                 [](const QuantPoint* point) { return point->whole_range; });
  const quant::Observer& method = whole ? *s.whole : *s.method;
  const bool scores = first->needs().histogram && s.scores.Covers(group);
  quant::StatisticsNeeds needs = method.needs();
  if (scores) needs.histogram = true;
  quant::Evidence evidence = quant::EvidenceOf(*first, needs);
  evidence.rare_values_count = std::any_of(
      group.begin(), group.end(), [](const QuantPoint* point) { return point->rare_values_count; });
  if (method.weighs_mean_error()) evidence.mean_error_weight = MeanErrorWeight(*s.graph, group);
  const auto unmasked = scores ? s.scores.Cut(group, evidence.values) : ScoreRanges::Unmasked();
  if (unmasked.none) return {grid, {{0, 0}, method.name()}, unmasked, whole};
  if (unmasked.least) evidence = quant::FromValue(evidence, *unmasked.least);
  quant::Decision decision = method.Decide(evidence, grid);
  // min_max keeps the seen extremes.
  if (s.method->needs().histogram)
    decision.range = quant::WidenedForFewValues(
        decision.range, needs.histogram ? evidence.values : quant::Distribution::Of(*first),
        s.samples);
  if (unmasked.most) decision.range.max = std::min(decision.range.max, *unmasked.most);
  return {grid, decision, unmasked, whole};
}

Result<quant::Range> WithConstants(GridMaking& s, const Group& group, const GroupRange& found) {
  const quant::Decision& decision = found.decision;
  quant::Range range{std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest()};
  const auto widen = [&range](double low, double high) {
    range = {std::min(range.min, low), std::max(range.max, high)};
  };
  for (const QuantPoint* point : group) {
    if (point->fixed_range) widen(point->range_min, point->range_max);
    if (point->role != Role::kWeight) continue;
    if (const Tensor& constant = ConstantOf(s.session, point->value);
        s.scores.Covers(group) && s.scores.IsMask(point->value, constant)) {
      const quant::Range own = s.scores.ConstantRange(point->value, constant, false);
      widen(own.min, own.max);
      continue;
    }
    ASSIGN_OR_RETURN(const auto ranges, quant::TensorRanges(ConstantOf(s.session, point->value),
                                                            MakeEncoding(*point, {})));
    widen(ranges[0].min, ranges[0].max);
  }
  if (decision.method.empty()) return range;
  widen(decision.range.min, decision.range.max);
  if (found.whole && decision.method != s.method->name())
    s.session.report->Add(group[0]->value, "kept whole",
                          StrCat("range [", range.min, ", ", range.max,
                                 "]: it reaches an output, where its rarest values matter"));
  else if (decision.method != s.method->name())
    s.session.report->Add(group[0]->value, "chose " + decision.method,
                          StrCat("range [", range.min, ", ", range.max, "]"));
  return range;
}

}  // namespace roundel::calibration
