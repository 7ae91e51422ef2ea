#include "lib/calibration/activation_grids.h"

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/calibration/decide_range.h"
#include "lib/calibration/gather_ranges.h"
#include "lib/calibration/point_encoding.h"
#include "lib/calibration/range_facts.h"

namespace roundel::calibration {
namespace {

using quant::Encoding;
using quant::QParams;
using quant::Role;
using target::QuantPoint;

// Widens a range to the target's minimum width as ONNX Runtime's quantizer does: to include 0, then
// upwards.
QParams ActivationParams(const GridMaking& s, const quant::Range& range, const quant::Grid& grid) {
  const double least = s.session.target.min_real_range;
  if (least == 0) return quant::ParamsFromRange(range.min, range.max, grid);
  const double low = std::min(range.min, 0.0), high = std::max(range.max, 0.0);
  return quant::ParamsFromRange(low, std::max(high, low + least), grid);
}

// The range, extended for masks.
quant::Range MaskedRange(GridMaking& s, const Group& group, const GroupRange& found,
                         const quant::Range& range) {
  if (!s.scores.Covers(group)) return range;
  const quant::Range wide = s.scores.WithMask(group, found.unmasked, found.grid, range);
  if (found.unmasked.least || found.unmasked.most)
    s.session.report->Add(group[0]->value, "mask clipped",
                          StrCat("scores are in [", range.min, ", ", range.max, "], the grid in [",
                                 wide.min, ", ", wide.max, "]: masked scores saturate"));
  return wide;
}

// Constants of a mask that are separate operands.
void MakeMaskConstants(GridMaking& s) {
  for (const QuantPoint& point : s.placement->points) {
    if (point.role != Role::kWeight || point.group >= 0 || s.table->contains(point.value)) continue;
    const Tensor& constant = ConstantOf(s.session, point.value);
    if (!s.scores.IsMask(point.value, constant)) continue;
    const quant::Range range = s.scores.ConstantRange(point.value, constant, true);
    s.table->emplace(point.value, MakeEncoding(point, {ActivationParams(s, range, point.grid)}));
  }
}

Status MakeGrids(GridMaking& s) {
  std::vector<const Group*> open;
  for (const auto& [number, group] : s.groups)
    if (!FrozenMember(s, group)) open.push_back(&group);
  s.scores.FindMasks(s.seen.values);
  std::vector<GroupRange> decisions(open.size());
  s.graph->BuildIndex();
  ParallelFor(std::ssize(open), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      decisions[i] = DecideRange(s, *open[i], &s.seen);
  });
  std::vector<quant::Range> ranges;
  for (size_t i = 0; i < open.size(); ++i) {
    ASSIGN_OR_RETURN(ranges.emplace_back(), WithConstants(s, *open[i], decisions[i]));
    if (s.scores.Covers(*open[i]))
      s.scores.Note(*open[i], decisions[i].unmasked, decisions[i].grid, ranges[i]);
  }
  std::vector<QParams> chosen;
  for (size_t i = 0; i < open.size(); ++i) {
    const quant::Grid& grid = decisions[i].grid;
    const quant::Range range = MaskedRange(s, *open[i], decisions[i], ranges[i]);
    const QParams& params = chosen.emplace_back(ActivationParams(s, range, grid));
    for (const QuantPoint* point : *open[i])
      if (const auto [at, added] =
              s.table->try_emplace(point->value, MakeEncoding(*point, {params}));
          added)
        at->second.grid = grid;
  }
  MakeMaskConstants(s);
  s.session.report->ranges.resize(open.size());
  ParallelFor(std::ssize(open), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      s.session.report->ranges[i] = RangeFactsOf(s, *open[i], decisions[i], chosen[i]);
  });
  for (const auto& [number, group] : s.groups)
    if (const Encoding* frozen = FrozenMember(s, group))
      for (const QuantPoint* point : group)
        s.table->try_emplace(point->value, MakeEncoding(*point, {frozen->params.at(0)}));
  return OkStatus();
}

}  // namespace

quant::MethodOptions MethodOptionsOf(const recipe::Params& params) {
  return {.percentile = params.Float("percentile"),
          .lower_tail = params.Float("lower_tail"),
          .upper_tail = params.Float("upper_tail"),
          .averaging = params.Float("averaging"),
          .gamma = params.Float("gamma"),
          .bins = params.Int("bins")};
}

Result<int64_t> MakeActivationGrids(Session& session, const recipe::Params& params,
                                    target::Placement* placement, quant::EncodingTable* table) {
  GridMaking s{.session = session, .params = params, .placement = placement, .table = table};
  ASSIGN_OR_RETURN(s.method, quant::MakeObserver(params.String("method"), MethodOptionsOf(params)));
  ASSIGN_OR_RETURN(s.whole, quant::MakeObserver("min_max"));
  RETURN_IF_ERROR(params.Bool("data_free") ? AnalyzeRanges(s) : ObserveRanges(s));
  CollectGroups(s);
  RETURN_IF_ERROR(MakeGrids(s));
  return s.samples;
}

}  // namespace roundel::calibration
