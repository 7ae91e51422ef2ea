// calibrate: places the quantizers and chooses the grid of each.
//
// The target profile places the quantizers (lib/targets/place.cpp). One sweep over the calibration
// set, with a tap on every activation that needs a range, gathers statistics
// (lib/quant/statistics.h). The method computes ranges from them (lib/quant/observers/, one file
// per method). Memory does not grow with the number of samples. Tensors of one group (Concat,
// pass-through chains) share one range, from the statistics of all of them.
//
//   activation   s_x, z_x from the range of `method`, by quant::ParamsFromRange
//   weight       s_w from the range of `weights_method` of the tensor, channel or block
//   bias         s_b = s_x * s_w * factor, z_b = 0, int32: the unit of the integer accumulator
//
// Grids of small floats have no zero point, and biases of their layers stay float. Weights on
// ternary and binary grids have least-squares scales unless another method is set. Scales that a
// format stores as codes (powers of two, float8, integers) are rounded to these:
// quant/coded_scales.h.
//
// Two repairs handle channels that batch normalization left (nearly) dead. A scale below 2^-24 of
// the largest of its tensor is raised to that (an all-zero channel: to the largest). A weight scale
// for which |b / s_b| would overflow the accumulator is raised until it fits; that costs resolution
// in weights that do not matter there.
//
// Parts of a Concat share a range only if enough levels remain for each; otherwise quantizers are
// placed again (range_joins.h). Values that reach an output unchanged have the whole seen range
// with every method. By default nothing is clipped from values that reach an output through layers
// but without an average (lib/targets/output_paths.h).
//
// Ranges from few samples of few values are widened (lib/quant/few_values.h), except for methods
// that use only extremes, such as min_max.
//
// Masked attention scores, which only a Softmax reads, do not widen the range of the other scores
// (lib/quant/masking.h).
//
// The sweep also measures the mean of every layer's input (Session::input_means), which
// bias_correct needs.
//
// `stats_out` writes all statistics to a file. `stats_in` reads them from files instead of the data
// and merges files of parts of the data; the ranges are the same, bit for bit.
//
// With `data_free` there is no sweep: statistics are those of columns drawn from the output moments
// of folded batch normalizations (analytic_values.h). Any method works on them. Effects of padding
// at borders and correlations between channels are ignored. Values with unknown moments, such as
// logits, stay float.
//
// Encodings that an earlier pass froze are kept, and the other values of their group follow them.
// Cost: one forward pass over the data; at most a few ms per value for the search.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/text.h"
#include "lib/calibration/activation_grids.h"
#include "lib/calibration/point_encoding.h"
#include "lib/layers/layer_bias.h"
#include "lib/quant/coded_scales.h"
#include "lib/quant/tensor_ranges.h"
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
// A channel below 2^-24 of its neighbors would be lost in a float32 sum, too.
constexpr double kScaleFloor = 0x1p-24;

bool SameEncodings(const EncodingTable& a, const EncodingTable& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](auto& x, auto& y) {
           const Encoding &e = x.second, &f = y.second;
           return x.first == y.first && e.grid == f.grid && e.granularity == f.granularity &&
                  e.axis == f.axis && e.block_size == f.block_size && e.params == f.params &&
                  e.codes == f.codes && e.frozen == f.frozen;
         });
}

// Turns a placement and the gathered statistics into encodings.
class GridMaker {
 public:
  GridMaker(Session& session, const recipe::Params& params) : session_(session), params_(params) {}

  Result<EncodingTable> Run(target::Placement* in) {
    target::Placement& placement = *in;
    const quant::MethodOptions options = calibration::MethodOptionsOf(params_);
    ASSIGN_OR_RETURN(weights_method_,
                     quant::MakeObserver(params_.String("weights_method"), options));
    ASSIGN_OR_RETURN(few_levels_method_, quant::MakeObserver("mse", options));
    for (const auto& [value, e] : session_.encodings) {
      if (!e.frozen) continue;
      if (e.params.empty())
        return ModelError(StrCat("frozen encoding of '", value, "' has no scale"));
      table_[value] = e;
    }
    // Sums over the float model's values depend on no range: the sweep is left to a later run.
    const bool sums_only = session_.part && session_.part->sums_only;
    if (!sums_only) {
      ASSIGN_OR_RETURN(samples_,
                       calibration::MakeActivationGrids(session_, params_, &placement, &table_));
    }
    for (const QuantPoint& point : placement.points)
      if (point.role == Role::kWeight && point.group < 0) RETURN_IF_ERROR(MakeWeight(point));
    if (sums_only) return std::move(table_);
    for (const QuantPoint& point : placement.points)
      if (point.role == Role::kBias) FitWeightToBias(point);
    for (const QuantPoint& point : placement.points)
      if (point.role == Role::kBias) MakeBias(point);
    return std::move(table_);
  }

  int64_t samples() const { return samples_; }

 private:
  // With two or three levels the largest weight does not determine a good scale. Therefore min_max,
  // which may just be the default, means least squares.
  const quant::Observer& WeightsMethod(const quant::Grid& grid) const {
    const bool few =
        grid.kind == quant::GridKind::kTernary || grid.kind == quant::GridKind::kBinary;
    return few && weights_method_->needs() == quant::StatisticsNeeds{} ? *few_levels_method_
                                                                       : *weights_method_;
  }

  Status MakeWeight(const QuantPoint& point) {
    if (table_.contains(point.value)) return OkStatus();  // frozen
    Encoding e = calibration::MakeEncoding(point, {});
    auto ranges = quant::TensorRanges(calibration::ConstantOf(session_, point.value), e,
                                      WeightsMethod(point.grid));
    if (!ranges.ok()) return std::move(ranges).status().At(StrCat("weight '", point.value, "'"));
    const auto magnitude = [](const quant::Range& r) { return std::max(-r.min, r.max); };
    float largest = 0;
    for (const quant::Range& range : *ranges) {
      e.params.push_back(quant::ParamsFromRange(range.min, range.max, point.grid));
      // The scale of an all-zero or denormal channel is the placeholder 1, not a measure.
      const float scale = std::fabs(e.params.back().scale);
      if (scale <= 2 * magnitude(range)) largest = std::max(largest, scale);
    }
    const auto floor = static_cast<float>(largest * kScaleFloor);
    for (size_t i = 0; i < e.params.size() && largest > 0 && e.grid.has_scale(); ++i) {
      float& scale = e.params[i].scale;
      if (magnitude((*ranges)[i]) == 0)
        scale = largest;
      else if (std::fabs(scale) > 2 * magnitude((*ranges)[i]) || std::fabs(scale) < floor)
        scale = floor;
    }
    quant::SettleScales(calibration::ConstantOf(session_, point.value).shape(), &e);
    table_[point.value] = std::move(e);
    return OkStatus();
  }

  // s_x * factor: the product of this and a weight scale is the bias scale.
  double InputScale(const QuantPoint& bias) const {
    return static_cast<double>(table_.at(bias.bias_input).params[0].scale) * bias.bias_factor;
  }

  void FitWeightToBias(const QuantPoint& point) {
    Encoding& weight = table_.at(point.bias_weight);
    if (weight.frozen || weight.codes) return;
    const Tensor& bias = calibration::ConstantOf(session_, point.value);
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
    const Tensor& bias = calibration::ConstantOf(session_, point.value);
    const auto channels = static_cast<int64_t>(weight.params.size());
    // The granularity of a frozen weight may differ from the placement's.
    if (weight.granularity == Granularity::kBlock || bias.size() % channels != 0) {
      session_.report->Add(point.value, "declined", "bias does not fit the scales of its weight");
      return;
    }
    Encoding e = layers::BiasEncoding(InputScale(point), weight, bias.size(), "calibrate");
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
  std::unique_ptr<quant::Observer> weights_method_, few_levels_method_;
  EncodingTable table_;
  int64_t samples_ = 0;
};

void Record(const target::Placement& placement, const EncodingTable& table, int64_t samples,
            report::PassReport* report) {
  for (const target::FloatNode& node : placement.float_nodes)
    report->Add(node.node, "declined", node.reason);
  for (const target::FloatNode& weight : placement.overruled)
    report->Add(weight.node, "one scale", weight.reason);
  for (const std::string& pattern : placement.unmatched_excludes)
    report->Add(pattern, "unmatched", "the exclude pattern matches no node");
  for (const std::string& rule : placement.unmatched_rules)
    report->Add(rule, "unmatched", "the rule has no effect: no match, or an earlier rule applies");
  int64_t counts[3] = {};
  for (const auto& [value, e] : table) ++counts[static_cast<int>(e.role)];
  report->Metric("samples", samples);
  report->Metric("activations", counts[static_cast<int>(Role::kActivation)]);
  report->Metric("weights", counts[static_cast<int>(Role::kWeight)]);
  report->Metric("biases", counts[static_cast<int>(Role::kBias)]);
  report->Metric("float_nodes", static_cast<int64_t>(placement.float_nodes.size()));
}

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  const size_t copies = session.copies.size();
  ASSIGN_OR_RETURN(
      target::Placement placement,
      target::PlaceSeparately(&session.model, session.target, session.grids, &session.copies));
  for (size_t i = copies; i < session.copies.size(); ++i)
    session.report->Add(session.copies[i].value, "copied",
                        StrCat("as '", session.copies[i].copy, "' for the node that writes '",
                               session.copies[i].reader, "', which needs it in another form"));
  GridMaker maker(session, params);
  ASSIGN_OR_RETURN(EncodingTable table, maker.Run(&placement));
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
               .help = "method that computes activation ranges from the statistics",
               .choices = quant::ObserverMethods()},
              {.name = "percentile",
               .default_value = -1.0,
               .help = "share of the values inside the range (method percentile); -1 = 99.995, or "
                       "100 on grids of more than 8 bits, or the choice of auto where rare values "
                       "reach an output",
               .min = -1,
               .max = 100,
               .unit = "%"},
              {.name = "lower_tail",
               .default_value = -1.0,
               .help = "share of the values to clip at the low end, on asymmetric grids; -1 = from "
                       "percentile",
               .min = -1,
               .max = 49.999,
               .unit = "%"},
              {.name = "upper_tail",
               .default_value = -1.0,
               .help = "share of the values to clip at the high end, on asymmetric grids; -1 = "
                       "from percentile",
               .min = -1,
               .max = 49.999,
               .unit = "%"},
              {.name = "averaging",
               .default_value = 0.01,
               .help = "weight of each new sample in the moving average (method moving_average)",
               .min = 1e-6,
               .max = 1},
              {.name = "gamma",
               .default_value = 3.0,
               .help = "weight of the clipping error relative to the rounding error (method sqnr)",
               .min = 0,
               .max = 1e6},
              {.name = "bins",
               .default_value = int64_t{128},
               .help = "number of bins of the histogram (method kl_ort)",
               .min = 128,
               .max = 65536,
               .unit = "bins"},
              {.name = "samples",
               .default_value = int64_t{0},
               .help = "number of calibration samples to use, in whole batches; 0 = all",
               .min = 0,
               .unit = "samples"},
              {.name = "weights_method",
               .default_value = std::string("min_max"),
               .help = "method that computes weight ranges from the weights",
               .choices = quant::WeightMethods()},
              {.name = "data_free",
               .default_value = false,
               .help = "derive ranges and means from folded batch normalizations instead of data"},
              {.name = "input_range",
               .default_value = std::vector<double>{},
               .help =
                   "lowest and highest value of the model's inputs, two numbers (with data_free)"},
              {.name = "stats_in",
               .default_value = std::vector<std::string>{},
               .help = "statistics files to use instead of data; several are merged"},
              {.name = "stats_out",
               .default_value = std::string(),
               .help = "statistics file to write, for later runs without data"},
              {.name = "stats_mismatch",
               .default_value = std::string("error"),
               .help = "what to do if stats_in comes from another model or preprocessing: stop "
                       "with an error, or accept it",
               .choices = {"error", "accept"}},
          },
      .needs_data = true,
      .data_for_static_only = true,
      .data_substitutes = {"stats_in", "data_free"},
      .run = Run,
  };
}

}  // namespace roundel::passes
