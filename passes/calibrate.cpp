// calibrate: decides where quantizers stand and which grid each of them has.
//
// The target profile places the quantizers (lib/target/place.cpp). One sweep over the data, with a
// tap on every activation that needs a range, feeds one observer per tensor; memory does not grow
// with the number of samples. Tensors of one group (Concat, pass-through chains) share the union of
// their ranges.
//
//   activation   s_x, z_x from the observed range, by quant::ParamsFromRange
//   weight       s_w from the exact minimum and maximum of the tensor, channel or block
//   bias         s_b = s_x * s_w * factor, z_b = 0, int32: the unit of the integer accumulator
//
// Two repairs make the integers meaningful where batch normalisation left channels dead or nearly
// so. A scale far below the others of its tensor is raised to 2^-24 of the largest (an all-zero
// channel to the largest), and a weight scale for which |b / s_b| would leave the accumulator is
// raised until it fits, at the cost of resolution in weights that do not matter there.
//
// Along the way the sweep takes the mean of every layer's input (Session::input_means), which
// bias_correct needs.
//
// Encodings that an earlier pass froze are kept, and the others of their group follow them. Cost:
// one forward pass over the data.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/text.h"
#include "lib/quant/observers/tensor_ranges.h"
#include "passes/observe.h"
#include "passes/pass.h"

namespace roundel::passes {
namespace {

using quant::Encoding;
using quant::EncodingTable;
using quant::Granularity;
using quant::QParams;
using quant::Role;
using target::QuantPoint;

// Half of int32: products and the bias meet in one int32 accumulator.
constexpr double kMaxBiasCode = 0x1p30;
// Below 2^-24 of its neighbours a channel adds nothing that a float32 sum would keep either.
constexpr double kScaleFloor = 0x1p-24;

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

bool SameEncodings(const EncodingTable& a, const EncodingTable& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](auto& x, auto& y) {
           const Encoding &e = x.second, &f = y.second;
           return x.first == y.first && e.grid == f.grid && e.granularity == f.granularity &&
                  e.axis == f.axis && e.block_size == f.block_size && e.params == f.params &&
                  e.codes == f.codes && e.frozen == f.frozen;
         });
}

// Turns a placement and what the sweep saw into encodings.
class GridMaker {
 public:
  GridMaker(Session& session, const recipe::Params& params) : session_(session), params_(params) {}

  Result<EncodingTable> Run(const target::Placement& placement) {
    for (const auto& [value, e] : session_.encodings) {
      if (!e.frozen) continue;
      if (e.params.empty())
        return ModelError(StrCat("frozen encoding of '", value, "' has no scale"));
      table_[value] = e;
    }
    for (const QuantPoint& point : placement.points)
      if (point.group >= 0) groups_[point.group].push_back(&point);
    RETURN_IF_ERROR(MakeActivations());
    for (const QuantPoint& point : placement.points)
      if (point.role == Role::kWeight && point.group < 0) RETURN_IF_ERROR(MakeWeight(point));
    for (const QuantPoint& point : placement.points)
      if (point.role == Role::kBias) FitWeightToBias(point);
    for (const QuantPoint& point : placement.points)
      if (point.role == Role::kBias) MakeBias(point);
    return std::move(table_);
  }

  int64_t samples() const { return samples_; }

 private:
  const Tensor& Constant(const std::string& value) const {
    const Tensor* constant = session_.model.graph->Constant(value);
    INVARIANT(constant, "placement of a weight that is not constant: " + value);
    return *constant;
  }

  // The encoding that an earlier pass fixed for a member of the group; nullptr if there is none.
  const Encoding* FrozenMember(const std::vector<const QuantPoint*>& group) const {
    for (const QuantPoint* point : group)
      if (const auto it = table_.find(point->value); it != table_.end() && it->second.frozen)
        return &it->second;
    return nullptr;
  }

  Status MakeActivations() {
    std::vector<std::string> observed;
    for (const auto& [number, group] : groups_) {
      if (FrozenMember(group)) continue;
      for (const QuantPoint* point : group)
        if (NeedsData(*point)) observed.push_back(point->value);
    }
    Observation seen;
    if (!observed.empty()) {
      if (!session_.data)
        return UsageError("calibrate needs data: set 'path' in the section 'data'");
      const ObservationOptions options = {
          .method = params_.String("method"),
          .observer = {.percentile = params_.Float("percentile")},
          .samples = params_.Int("samples")};
      ASSIGN_OR_RETURN(seen, Observe(session_, observed, options));
      samples_ = seen.samples;
    }
    for (const auto& [number, group] : groups_) {
      QParams params;
      if (const Encoding* frozen = FrozenMember(group)) {
        params = frozen->params.at(0);
      } else {
        ASSIGN_OR_RETURN(const quant::Range range, GroupRange(group, seen));
        params = quant::ParamsFromRange(range.min, range.max, group[0]->grid);
      }
      for (const QuantPoint* point : group)
        table_.try_emplace(point->value, MakeEncoding(*point, {params}));
    }
    return OkStatus();
  }

  static bool NeedsData(const QuantPoint& point) {
    return point.role == Role::kActivation && !point.derived && !point.fixed_range;
  }

  Result<quant::Range> GroupRange(const std::vector<const QuantPoint*>& group, Observation& seen) {
    std::unique_ptr<quant::Observer> merged;
    quant::Range range{std::numeric_limits<double>::max(), std::numeric_limits<double>::lowest()};
    const auto widen = [&range](double low, double high) {
      range = {std::min(range.min, low), std::max(range.max, high)};
    };
    for (const QuantPoint* point : group) {
      if (point->fixed_range) widen(point->range_min, point->range_max);
      if (point->role == Role::kWeight) {
        ASSIGN_OR_RETURN(const auto ranges,
                         quant::TensorRanges(Constant(point->value), MakeEncoding(*point, {})));
        widen(ranges[0].min, ranges[0].max);
      }
      if (!NeedsData(*point)) continue;
      auto observer = std::move(seen.observers.at(point->value));
      if (merged)
        merged->Merge(*observer);
      else
        merged = std::move(observer);
    }
    if (merged) {
      const quant::Range found = merged->Compute(group[0]->grid);
      widen(found.min, found.max);
    }
    return range;
  }

  Status MakeWeight(const QuantPoint& point) {
    if (table_.contains(point.value)) return OkStatus();  // frozen
    Encoding e = MakeEncoding(point, {});
    auto ranges = quant::TensorRanges(Constant(point.value), e);
    if (!ranges.ok()) return std::move(ranges).status().At(StrCat("weight '", point.value, "'"));
    const auto magnitude = [](const quant::Range& r) { return std::max(-r.min, r.max); };
    float largest = 0;
    for (const quant::Range& range : *ranges) {
      e.params.push_back(quant::ParamsFromRange(range.min, range.max, point.grid));
      // The scale of an all-zero or denormal channel is the placeholder 1, not a measure.
      const float scale = e.params.back().scale;
      if (scale <= 2 * magnitude(range)) largest = std::max(largest, scale);
    }
    const auto floor = static_cast<float>(largest * kScaleFloor);
    for (size_t i = 0; i < e.params.size() && largest > 0; ++i) {
      float& scale = e.params[i].scale;
      if (magnitude((*ranges)[i]) == 0)
        scale = largest;
      else if (scale > 2 * magnitude((*ranges)[i]))
        scale = floor;
      else
        scale = std::max(scale, floor);
    }
    table_[point.value] = std::move(e);
    return OkStatus();
  }

  // s_x * factor: what a weight scale is multiplied with to give the bias scale.
  double InputScale(const QuantPoint& bias) const {
    return static_cast<double>(table_.at(bias.bias_input).params[0].scale) * bias.bias_factor;
  }

  void FitWeightToBias(const QuantPoint& point) {
    Encoding& weight = table_.at(point.bias_weight);
    if (weight.frozen || weight.codes) return;
    const Tensor& bias = Constant(point.value);
    const size_t channels = weight.params.size();
    for (int64_t i = 0; i < bias.size(); ++i) {
      const double magnitude = std::abs(static_cast<double>(bias.data<float>()[i]));
      const double least = magnitude / (InputScale(point) * kMaxBiasCode);
      QParams& p = weight.params[static_cast<size_t>(i) % channels];
      if (p.scale >= least || least > std::numeric_limits<float>::max()) continue;
      p.scale = std::nextafter(static_cast<float>(least), std::numeric_limits<float>::max());
      session_.report->Add(point.bias_weight, "scale raised",
                           StrCat("channel ", static_cast<size_t>(i) % channels, ": the bias '",
                                  point.value, "' would overflow int32"));
    }
  }

  void MakeBias(const QuantPoint& point) {
    if (table_.contains(point.value)) return;  // frozen
    const Encoding& weight = table_.at(point.bias_weight);
    const Tensor& bias = Constant(point.value);
    const auto channels = static_cast<int64_t>(weight.params.size());
    // A frozen weight need not have the granularity that was placed.
    if (weight.granularity == Granularity::kBlock || bias.size() % channels != 0) {
      session_.report->Add(point.value, "declined", "bias does not fit the scales of its weight");
      return;
    }
    Encoding e = MakeEncoding(point, {});
    e.granularity = weight.granularity;
    const int64_t count = e.granularity == Granularity::kChannel ? bias.size() : 1;
    for (int64_t i = 0; i < count; ++i) {
      const QParams& p = weight.params[static_cast<size_t>(i % channels)];
      e.params.push_back({static_cast<float>(InputScale(point) * p.scale), 0});
    }
    for (int64_t i = 0; i < bias.size(); ++i) {
      const float scale = e.params[e.ParamIndex(bias.shape(), i)].scale;
      const double code = std::abs(bias.data<float>()[i] / static_cast<double>(scale));
      if (scale >= std::numeric_limits<float>::min() && code <= 2 * kMaxBiasCode - 256) continue;
      session_.report->Add(point.value, "declined",
                           StrCat("bias does not fit int32 at scale ", scale));
      return;
    }
    table_[point.value] = std::move(e);
  }

  Session& session_;
  const recipe::Params& params_;
  std::map<int, std::vector<const QuantPoint*>> groups_;
  EncodingTable table_;
  int64_t samples_ = 0;
};

void Record(const target::Placement& placement, const EncodingTable& table, int64_t samples,
            report::PassReport* report) {
  for (const target::FloatNode& node : placement.float_nodes)
    report->Add(node.node, "declined", node.reason);
  for (const std::string& pattern : placement.unmatched_excludes)
    report->Add(pattern, "unmatched", "the exclude pattern matches no node");
  for (const std::string& rule : placement.unmatched_rules)
    report->Add(rule, "unmatched", "the rule decides nothing: no match, or an earlier rule wins");
  int64_t counts[3] = {};
  for (const auto& [value, e] : table) ++counts[static_cast<int>(e.role)];
  report->Metric("samples", samples);
  report->Metric("activations", counts[static_cast<int>(Role::kActivation)]);
  report->Metric("weights", counts[static_cast<int>(Role::kWeight)]);
  report->Metric("biases", counts[static_cast<int>(Role::kBias)]);
  report->Metric("float_nodes", static_cast<int64_t>(placement.float_nodes.size()));
}

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  ASSIGN_OR_RETURN(target::Placement placement,
                   target::Place(session.model, session.target, session.grids));
  GridMaker maker(session, params);
  ASSIGN_OR_RETURN(EncodingTable table, maker.Run(placement));
  Record(placement, table, maker.samples(), session.report);
  const bool same = session.placement.has_value() && SameEncodings(table, session.encodings);
  session.encodings = std::move(table);
  session.placement = std::move(placement);
  return same ? Outcome::kUnchanged : Outcome::kChanged;
}

}  // namespace

PassInfo calibrate_pass() {
  return {
      .name = "calibrate",
      .summary = "places quantizers and sets their ranges from calibration data",
      .params =
          {
              {.name = "method",
               .default_value = std::string("min_max"),
               .help = "how activation ranges follow from the data",
               .choices = quant::ObserverMethods()},
              {.name = "percentile",
               .default_value = 99.995,
               .help = "share of the values that the range keeps (method percentile)",
               .min = 50.001,
               .max = 100,
               .unit = "%"},
              {.name = "samples",
               .default_value = int64_t{0},
               .help = "samples to look at, in whole batches; 0 = all",
               .min = 0,
               .unit = "samples"},
              {.name = "weights_method",
               .default_value = std::string("min_max"),
               .help = "how weight ranges follow from the weights",
               .choices = {"min_max"}},
          },
      .needs_data = true,
      .data_for_static_only = true,
      .run = Run,
  };
}

}  // namespace roundel::passes
