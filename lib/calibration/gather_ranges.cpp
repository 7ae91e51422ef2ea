#include "lib/calibration/gather_ranges.h"

#include <optional>

#include "lib/base/text.h"
#include "lib/calibration/analytic_values.h"
#include "lib/calibration/input_means.h"
#include "lib/calibration/range_joins.h"
#include "lib/calibration/stored_statistics.h"
#include "lib/calibration/unknown_ranges.h"

namespace roundel::calibration {
namespace {

using quant::Role;
using target::QuantPoint;

Status AddAnalytic(GridMaking& s) {
  std::vector<std::string> values;
  for (const QuantPoint& point : s.placement->points)
    if (NeedsData(point) && s.asked.insert(point.value).second) values.push_back(point.value);
  if (values.empty()) return OkStatus();
  ASSIGN_OR_RETURN(auto analytic, AnalyticStatistics(s.session, values, s.method->needs(),
                                                     s.params.Floats("input_range")));
  AddInputMeans(analytic.input_means, &s.session);
  s.seen.values.merge(analytic.values);
  return OkStatus();
}

// Points of open groups whose statistics were not gathered. `scores`: values that hold scores.
std::vector<std::string> NotGathered(const GridMaking& s, std::set<std::string>* scores) {
  std::vector<std::string> values;
  for (const auto& [number, group] : s.groups) {
    if (FrozenMember(s, group)) continue;
    for (const QuantPoint* point : group)
      if (NeedsData(*point) && !s.asked.contains(point->value)) values.push_back(point->value);
    if (s.scores.Covers(group))
      for (const QuantPoint* point : group) scores->insert(point->value);
  }
  return values;
}

// Values on which the joins depend. `all`: also all values that a decision could make a point.
void AddJoined(const GridMaking& s, bool all, std::vector<std::string>* values) {
  if (s.placement->joins.empty()) return;
  std::set<std::string> known(values->begin(), values->end());
  const auto add = [&](const std::string& value) {
    if (!s.graph->Constant(value) && known.insert(value).second) values->push_back(value);
  };
  for (const target::ValueJoin& join : s.placement->joins) {
    bool apart = false;
    for (const auto& part : join.parts) add(part.value), apart |= part.read_elsewhere;
    if (apart) add(join.output);
  }
  if (!all) return;
  for (const QuantPoint& point : s.placement->points)
    if (point.role == Role::kActivation) add(point.value);
}

Status Gather(GridMaking& s, const std::vector<std::string>& values,
              const StatisticsSource& source) {
  if (values.empty()) return OkStatus();
  s.asked.insert(values.begin(), values.end());
  ASSIGN_OR_RETURN(auto more, GatherStatistics(s.session, values, source));
  s.samples = more.samples;
  s.seen.values.merge(more.values);
  return OkStatus();
}

// The range of one value by the method, regardless of its group.
std::optional<quant::Range> RangeAlone(const GridMaking& s, const std::string& value) {
  if (const Tensor* constant = s.graph->Constant(value)) {
    quant::ValueStatistics statistics;
    const Tensor floats = constant->ToFloat();
    if (!statistics.Observe(floats.span<float>()).ok()) return std::nullopt;
    return statistics.seen();
  }
  for (const QuantPoint& point : s.placement->points)
    if (point.value == value && point.fixed_range)
      return quant::Range{point.range_min, point.range_max};
  const auto seen = s.seen.values.find(value);
  if (seen == s.seen.values.end() || seen->second.count() == 0) return std::nullopt;
  return s.method->Compute(quant::EvidenceOf(seen->second, s.method->needs()),
                           s.session.grids.activations);
}

}  // namespace

Status AnalyzeRanges(GridMaking& s) {
  if (!s.params.String("stats_out").empty())
    return UsageError("stats_out: there are no statistics of data to write with data_free");
  const auto gather = [&s] { return AddAnalytic(s); };
  RETURN_IF_ERROR(gather());
  ASSIGN_OR_RETURN(const auto unknown, LeaveUnknownFloat(s.session, {s.seen, s.asked, *s.table},
                                                         "without data its range is not known",
                                                         gather, &s.decisions, s.placement));
  for (const std::string& value : unknown)
    if (s.graph->IsInput(value))
      s.session.report->warnings.push_back(
          StrCat("the range of the input '", value,
                 "' is not known, so that it stays float: set input_range"));
  return OkStatus();
}

Status ObserveRanges(GridMaking& s) {
  StatisticsSource source = {.needs = s.method->needs(),
                             .scores = {},
                             .samples = s.params.Int("samples"),
                             .stats_in = s.params.Strings("stats_in"),
                             .stats_out = s.params.String("stats_out"),
                             .accept_mismatch = s.params.String("stats_mismatch") == "accept"};
  CollectGroups(s);
  std::vector<std::string> values = NotGathered(s, &source.scores);
  if (source.stats_in.empty()) AddJoined(s, !source.stats_out.empty(), &values);
  RETURN_IF_ERROR(Gather(s, values, source));
  const auto gather_more = [&] {
    CollectGroups(s);
    source.stats_out.clear();  // contains more than any decision needs
    source.scores.clear();
    const auto more = NotGathered(s, &source.scores);
    return Gather(s, more, source);
  };
  if (!s.placement->joins.empty()) {
    const RangeOf range_of = [&s](const std::string& value) { return RangeAlone(s, value); };
    ASSIGN_OR_RETURN(*s.placement, SettleJoins(s.session, *s.placement, range_of, &s.decisions));
    RETURN_IF_ERROR(gather_more());
  }
  // Values in a branch that the data never takes, and in a loop without iterations, are unseen;
  // others are empty in all samples.
  ASSIGN_OR_RETURN(const auto unseen, LeaveUnknownFloat(s.session, {s.seen, s.asked, *s.table},
                                                        "no sample of the data gives it a value",
                                                        gather_more, &s.decisions, s.placement));
  if (!unseen.empty())
    s.session.report->warnings.push_back(
        StrCat("no sample of the data gives values to ", unseen.size(), " activations ('",
               unseen[0], "', ...), which stay float: add data that reaches them"));
  return OkStatus();
}

}  // namespace roundel::calibration
