#include "lib/calibration/activation_grids.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/calibration/analytic_values.h"
#include "lib/calibration/range_joins.h"
#include "lib/calibration/score_ranges.h"
#include "lib/calibration/stored_statistics.h"
#include "lib/calibration/untold_ranges.h"
#include "lib/graph/bodies.h"
#include "lib/graph/layer.h"
#include "lib/quant/few_values.h"
#include "lib/quant/masking.h"
#include "lib/quant/tensor_ranges.h"

namespace roundel::calibration {
namespace {

using quant::Encoding;
using quant::QParams;
using quant::Role;
using target::QuantPoint;

// What a mean error at `value` costs its layers beside a random one of the same energy
// (lib/quant/observers/auto.cpp); 1 if no layer with a constant weight reads it.
double MeanErrorWeight(const graph::Graph& graph, const std::vector<const QuantPoint*>& group) {
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

struct GroupRange {
  quant::Grid grid;
  quant::Decision decision;
  ScoreRanges::Unmasked unmasked;
  bool whole = false;  // QuantPoint::whole_range
};

class ActivationGrids {
 public:
  ActivationGrids(Session& session, const recipe::Params& params, quant::EncodingTable* table)
      : session_(session),
        params_(params),
        table_(table),
        graph_(graph::WithBodies(session.model)),
        scores_(*graph_) {}

  // How many samples were seen.
  Result<int64_t> Run(target::Placement* placement) {
    placement_ = placement;
    ASSIGN_OR_RETURN(method_,
                     quant::MakeObserver(params_.String("method"), MethodOptionsOf(params_)));
    ASSIGN_OR_RETURN(whole_, quant::MakeObserver("min_max"));
    if (params_.Bool("data_free"))
      RETURN_IF_ERROR(Analyse(placement));
    else
      RETURN_IF_ERROR(Observe(placement));
    CollectGroups(*placement);
    RETURN_IF_ERROR(MakeGrids());
    return samples_;
  }

 private:
  void CollectGroups(const target::Placement& placement) {
    groups_.clear();
    for (const QuantPoint& point : placement.points)
      if (point.group >= 0) groups_[point.group].push_back(&point);
  }

  // Statistics without data, and a placement without the values of which nothing is told.
  Status Analyse(target::Placement* placement) {
    if (!params_.String("stats_out").empty())
      return UsageError("stats_out: there are no statistics of data to write with data_free");
    const auto gather = [this, placement] { return Tell(*placement); };
    RETURN_IF_ERROR(gather());
    ASSIGN_OR_RETURN(const auto untold, LeaveUntold(session_, {seen_, asked_, *table_},
                                                    "without data its range is not known", gather,
                                                    &decisions_, placement));
    for (const std::string& value : untold)
      if (graph_->IsInput(value))
        session_.report->warnings.push_back(
            StrCat("the range of the input '", value,
                   "' is not known, so that it stays float: set input_range"));
    return OkStatus();
  }

  Status Tell(const target::Placement& placement) {
    std::vector<std::string> values;
    for (const QuantPoint& point : placement.points)
      if (NeedsData(point) && asked_.insert(point.value).second) values.push_back(point.value);
    if (values.empty()) return OkStatus();
    ASSIGN_OR_RETURN(auto told, AnalyticStatistics(session_, values, method_->needs(),
                                                   params_.Floats("input_range")));
    for (const auto& [value, mean] : told.input_means) session_.input_means[value] = mean;
    seen_.values.merge(told.values);
    return OkStatus();
  }

  // The encoding that an earlier pass fixed for a member of the group; nullptr if there is none.
  const Encoding* FrozenMember(const std::vector<const QuantPoint*>& group) const {
    for (const QuantPoint* point : group)
      if (const auto it = table_->find(point->value); it != table_->end() && it->second.frozen)
        return &it->second;
    return nullptr;
  }

  // Statistics of what the placement needs, and of what is joined; the placement that follows from
  // those, and what that one needs in addition.
  Status Observe(target::Placement* placement) {
    StatisticsSource source = {.needs = method_->needs(),
                               .scores = {},
                               .samples = params_.Int("samples"),
                               .stats_in = params_.Strings("stats_in"),
                               .stats_out = params_.String("stats_out"),
                               .accept_mismatch = params_.String("stats_mismatch") == "accept"};
    CollectGroups(*placement);
    std::vector<std::string> values = NotAsked(&source.scores);
    if (source.stats_in.empty()) AddJoined(*placement, !source.stats_out.empty(), &values);
    RETURN_IF_ERROR(Gather(values, source));
    const auto gather_more = [&] {
      CollectGroups(*placement);
      source.stats_out.clear();  // holds more than any decision needs
      source.scores.clear();
      const auto more = NotAsked(&source.scores);
      return Gather(more, source);
    };
    if (!placement->joins.empty()) {
      const RangeOf range_of = [this, placement](const std::string& value) {
        return RangeAlone(*placement, value);
      };
      ASSIGN_OR_RETURN(*placement, SettleJoins(session_, *placement, range_of, &decisions_));
      RETURN_IF_ERROR(gather_more());
    }
    // A branch that the data never takes, and a loop without a round, leave their values unseen;
    // others are empty in all samples.
    ASSIGN_OR_RETURN(const auto unseen, LeaveUntold(session_, {seen_, asked_, *table_},
                                                    "no sample of the data gives it a value",
                                                    gather_more, &decisions_, placement));
    if (!unseen.empty())
      session_.report->warnings.push_back(StrCat("no sample of the data gives values to ",
                                                 unseen.size(), " activations ('", unseen[0],
                                                 "', ...), which stay float: add data that does"));
    return OkStatus();
  }

  // Points of open groups that no statistics were asked for, and those of them that hold
  // scores.
  std::vector<std::string> NotAsked(std::set<std::string>* scores) const {
    std::vector<std::string> values;
    for (const auto& [number, group] : groups_) {
      if (FrozenMember(group)) continue;
      for (const QuantPoint* point : group)
        if (NeedsData(*point) && !asked_.contains(point->value)) values.push_back(point->value);
      if (scores_.Covers(group))
        for (const QuantPoint* point : group) scores->insert(point->value);
    }
    return values;
  }

  // What decides about joins; `all`: and whatever a decision could make a point of its own.
  void AddJoined(const target::Placement& placement, bool all,
                 std::vector<std::string>* values) const {
    if (placement.joins.empty()) return;
    std::set<std::string> known(values->begin(), values->end());
    const auto add = [&](const std::string& value) {
      if (!graph_->Constant(value) && known.insert(value).second) values->push_back(value);
    };
    for (const target::ValueJoin& join : placement.joins) {
      bool apart = false;
      for (const auto& part : join.parts) add(part.value), apart |= part.read_elsewhere;
      if (apart) add(join.output);
    }
    if (!all) return;
    for (const QuantPoint& point : placement.points)
      if (point.role == Role::kActivation) add(point.value);
  }

  Status Gather(const std::vector<std::string>& values, const StatisticsSource& source) {
    if (values.empty()) return OkStatus();
    asked_.insert(values.begin(), values.end());
    ASSIGN_OR_RETURN(auto more, GatherStatistics(session_, values, source));
    samples_ = more.samples;
    seen_.values.merge(more.values);
    return OkStatus();
  }

  // The range of one value by the method, whatever it shares its grid with.
  std::optional<quant::Range> RangeAlone(const target::Placement& placement,
                                         const std::string& value) const {
    if (const Tensor* constant = graph_->Constant(value)) {
      quant::ValueStatistics statistics;
      const Tensor floats = constant->ToFloat();
      if (!statistics.Observe(floats.span<float>()).ok()) return std::nullopt;
      return statistics.seen();
    }
    for (const QuantPoint& point : placement.points)
      if (point.value == value && point.fixed_range)
        return quant::Range{point.range_min, point.range_max};
    const auto seen = seen_.values.find(value);
    if (seen == seen_.values.end() || seen->second.count() == 0) return std::nullopt;
    return method_->Compute(quant::EvidenceOf(seen->second, method_->needs()),
                            session_.grids.activations);
  }

  Status MakeGrids() {
    std::vector<const std::vector<const QuantPoint*>*> open;
    for (const auto& [number, group] : groups_)
      if (!FrozenMember(group)) open.push_back(&group);
    scores_.FindMasks(seen_.values);
    std::vector<GroupRange> decisions(open.size());
    graph_->BuildIndex();
    ParallelFor(std::ssize(open), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
        decisions[i] = Decide(*open[i], &seen_);
    });
    std::vector<quant::Range> ranges;
    for (size_t i = 0; i < open.size(); ++i) {
      ASSIGN_OR_RETURN(ranges.emplace_back(), Widened(*open[i], decisions[i]));
      if (scores_.Covers(*open[i]))
        scores_.Note(*open[i], decisions[i].unmasked, decisions[i].grid, ranges[i]);
    }
    for (size_t i = 0; i < open.size(); ++i) {
      const quant::Grid& grid = decisions[i].grid;
      const quant::Range range = MaskedRange(*open[i], decisions[i], ranges[i]);
      const QParams params = ActivationParams(range, grid);
      for (const QuantPoint* point : *open[i])
        if (const auto [at, added] =
                table_->try_emplace(point->value, MakeEncoding(*point, {params}));
            added)
          at->second.grid = grid;
    }
    MakeMaskConstants();
    for (const auto& [number, group] : groups_)
      if (const Encoding* frozen = FrozenMember(group))
        for (const QuantPoint* point : group)
          table_->try_emplace(point->value, MakeEncoding(*point, {frozen->params.at(0)}));
    return OkStatus();
  }

  // With a range that is not narrower than the target bears, as ONNX Runtime's quantizer widens it:
  // to hold 0 first, then upwards.
  QParams ActivationParams(const quant::Range& range, const quant::Grid& grid) const {
    const double least = session_.target.min_real_range;
    if (least == 0) return quant::ParamsFromRange(range.min, range.max, grid);
    const double low = std::min(range.min, 0.0), high = std::max(range.max, 0.0);
    return quant::ParamsFromRange(low, std::max(high, low + least), grid);
  }

  // The least value that the group can have, as far as `seen` tells.
  double Least(const std::vector<const QuantPoint*>& group,
               const quant::ValueStatistics* seen) const {
    double least = seen ? seen->seen().min : 0;
    for (const QuantPoint* point : group) {
      if (point->fixed_range) least = std::min(least, point->range_min);
      if (point->role != Role::kWeight) continue;
      const Tensor constant = ConstantOf(session_, point->value).ToFloat();
      for (int64_t i = 0; i < constant.size(); ++i)
        least = std::min(least, double{constant.data<float>()[i]});
    }
    return least;
  }

  // What the data says about a group's range; nothing (no method) if none of it was observed.
  GroupRange Decide(const std::vector<const QuantPoint*>& group,
                    quant::CalibrationStatistics* seen) const {
    quant::ValueStatistics* first = nullptr;
    for (const QuantPoint* point : group) {
      if (!NeedsData(*point)) continue;
      const auto found = seen->values.find(point->value);
      if (found == seen->values.end()) continue;  // always empty
      quant::ValueStatistics& statistics = found->second;
      if (first)
        first->Unite(statistics);
      else
        first = &statistics;
    }
    const quant::Grid grid = group[0]->grid.ForValuesFrom(Least(group, first));
    if (!first) return {grid, {}, {}, false};
    const bool whole = std::any_of(group.begin(), group.end(),
                                   [](const QuantPoint* point) { return point->whole_range; });
    const quant::Observer& method = whole ? *whole_ : *method_;
    const bool scores = first->needs().histogram && scores_.Covers(group);
    quant::StatisticsNeeds needs = method.needs();
    if (scores) needs.histogram = true;
    quant::Evidence evidence = quant::EvidenceOf(*first, needs);
    evidence.rare_values_count =
        std::any_of(group.begin(), group.end(),
                    [](const QuantPoint* point) { return point->rare_values_count; });
    if (method.weighs_mean_error()) evidence.mean_error_weight = MeanErrorWeight(*graph_, group);
    const auto unmasked = scores ? scores_.Cut(group, evidence.values) : ScoreRanges::Unmasked();
    if (unmasked.none) return {grid, {{0, 0}, method.name()}, unmasked, whole};
    if (unmasked.least) evidence = quant::FromValue(evidence, *unmasked.least);
    quant::Decision decision = method.Decide(evidence, grid);
    // Who asks for extremes (min_max) gets what was seen.
    if (method_->needs().histogram)
      decision.range = quant::WidenedForFewValues(
          decision.range, needs.histogram ? evidence.values : quant::Distribution::Of(*first),
          samples_);
    if (unmasked.most) decision.range.max = std::min(decision.range.max, *unmasked.most);
    return {grid, decision, unmasked, whole};
  }

  // What was found, with room for masks.
  quant::Range MaskedRange(const std::vector<const QuantPoint*>& group, const GroupRange& found,
                           const quant::Range& range) {
    if (!scores_.Covers(group)) return range;
    const quant::Range wide = scores_.WithMask(group, found.unmasked, found.grid, range);
    if (found.unmasked.least || found.unmasked.most)
      session_.report->Add(group[0]->value, "mask left out",
                           StrCat("scores lie in [", range.min, ", ", range.max, "], the grid in [",
                                  wide.min, ", ", wide.max, "]: what is masked ends there"));
    return wide;
  }

  // Constants of a mask that are operands by themselves.
  void MakeMaskConstants() {
    for (const QuantPoint& point : placement_->points) {
      if (point.role != Role::kWeight || point.group >= 0 || table_->contains(point.value))
        continue;
      const Tensor& constant = ConstantOf(session_, point.value);
      if (!scores_.IsMask(point.value, constant)) continue;
      const quant::Range range = scores_.ConstantRange(point.value, constant, true);
      table_->emplace(point.value, MakeEncoding(point, {ActivationParams(range, point.grid)}));
    }
  }

  // The range together with what needs no data: fixed ranges and constants of the group.
  Result<quant::Range> Widened(const std::vector<const QuantPoint*>& group,
                               const GroupRange& found) {
    const quant::Decision& decision = found.decision;
    quant::Range range{std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest()};
    const auto widen = [&range](double low, double high) {
      range = {std::min(range.min, low), std::max(range.max, high)};
    };
    for (const QuantPoint* point : group) {
      if (point->fixed_range) widen(point->range_min, point->range_max);
      if (point->role != Role::kWeight) continue;
      if (const Tensor& constant = ConstantOf(session_, point->value);
          scores_.Covers(group) && scores_.IsMask(point->value, constant)) {
        const quant::Range own = scores_.ConstantRange(point->value, constant, false);
        widen(own.min, own.max);
        continue;
      }
      ASSIGN_OR_RETURN(const auto ranges, quant::TensorRanges(ConstantOf(session_, point->value),
                                                              MakeEncoding(*point, {})));
      widen(ranges[0].min, ranges[0].max);
    }
    if (decision.method.empty()) return range;
    widen(decision.range.min, decision.range.max);
    if (found.whole && decision.method != method_->name())
      session_.report->Add(group[0]->value, "kept whole",
                           StrCat("range [", range.min, ", ", range.max,
                                  "]: it reaches an output, where its rarest values count"));
    else if (decision.method != method_->name())
      session_.report->Add(group[0]->value, "chose " + decision.method,
                           StrCat("range [", range.min, ", ", range.max, "]"));
    return range;
  }

  Session& session_;
  const recipe::Params& params_;
  quant::EncodingTable* table_;
  target::RangeDecisions decisions_;           // of the placement
  const std::shared_ptr<graph::Graph> graph_;  // bodies laid out
  ScoreRanges scores_;
  const target::Placement* placement_ = nullptr;
  std::unique_ptr<quant::Observer> method_, whole_;
  std::set<std::string> asked_;  // values whose statistics were gathered
  quant::CalibrationStatistics seen_;
  std::map<int, std::vector<const QuantPoint*>> groups_;
  int64_t samples_ = 0;
};

}  // namespace

Encoding MakeEncoding(const QuantPoint& point, std::vector<QParams> params) {
  Encoding e{.role = point.role,
             .grid = point.grid,
             .granularity = point.granularity,
             .axis = point.axis,
             .block_size = point.block_size,
             .params = std::move(params)};
  e.decided_by = "calibrate";
  return e;
}

const Tensor& ConstantOf(const Session& session, const std::string& value) {
  const Tensor* constant = graph::ConstantInBodies(*session.model.graph, value);
  INVARIANT(constant, "placement of a weight that is not constant: " + value);
  return *constant;
}

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
  return ActivationGrids(session, params, table).Run(placement);
}

}  // namespace roundel::calibration
