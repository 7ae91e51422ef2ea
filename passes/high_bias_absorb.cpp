// Moves a constant c, which nearly all values of a channel exceed, from a layer's output into the
// bias of the next layer. This narrows the range of the activation between them.
//
//   Conv1(W1, b1) -> Relu -> Conv2(W2, b2)
//   becomes
//   Conv1(W1, b1 - c) -> Relu -> Conv2(W2, b2 + W2 c)
//
// Relu(x - c) = Relu(x) - c if x >= c >= 0: both models agree as long as the channel's values
// before the activation function are above c (Nagel et al. 2019, Data-free quantization, section
// 4.1.3). The folded batch normalization gives their distribution (Session::output_moments), with
// mean beta and deviation |gamma|,
//
//   c = max(0, beta - 3 |gamma|)
//   c = beta                       without an activation function in between: any c is exact
//
// (99.87 % of a normal distribution are above beta - 3 |gamma|). Equalization makes some biases
// large, so that this pass follows cle. For layers without output moments, `source: data` (and
// `auto`, if there is data) sets c to the smallest value of each channel on the data, or to its
// mean without an activation function; the model then does not change on that data.
//
// Layers are Conv, ConvTranspose, Gemm and MatMul. Allowed between them are Relu, LeakyRelu or
// PRelu, Min with a bound per channel from cle (the bound moves by c, too), and pooling, Flatten
// and similar operators, which pass constants on. The value may have several layers as readers.
//
// A layer that pads with zeros would have to pad with -c. `padding: skip` leaves it unchanged.
// `allow` accepts errors at border positions: the taps in the padding, times c.
//
// Does nothing, and records the reason, if the value has other readers, a Clip is in between (cle
// replaces it), or c is too small to matter. The outcome is kApproximate unless all changes are
// exact. Cost: a few operations per weight of the second layers; with data, one sweep.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/channel_groups.h"
#include "lib/graph/layer.h"
#include "lib/graph/match.h"
#include "lib/graph/shift_chain.h"
#include "lib/graph/weight_scaling.h"
#include "lib/session/runnable_graph.h"
#include "passes/pass.h"

namespace roundel::passes {
namespace {

using graph::ChannelConsumer;
using graph::Graph;
using graph::Node;
using graph::ShiftChain;
using graph::WeightedLayer;

// c leaves this many deviations below the mean to the activation (section 4.1.3 of the paper).
constexpr double kDeviations = 3;
// Shifts below this share of the values they apply to are not worthwhile.
constexpr double kWorthwhile = 1e-3;

// ---- the shift

// The known range of one channel before the activation.
struct ChannelRange {
  double low = std::numeric_limits<double>::infinity(), mean = 0, size = 0;
};

std::vector<double> Shifts(const ShiftChain& chain, const std::vector<ChannelRange>& ranges) {
  std::vector<double> shifts;
  for (const ChannelRange& range : ranges) {
    const double shift = chain.activated || chain.bound ? std::max(0.0, range.low) : range.mean;
    shifts.push_back(std::fabs(shift) > kWorthwhile * range.size ? shift : 0.0);
  }
  return shifts;
}

std::vector<ChannelRange> FromStatistics(const OutputMoments& statistics) {
  std::vector<ChannelRange> ranges;
  for (size_t c = 0; c < statistics.mean.size(); ++c) {
    const double spread = kDeviations * statistics.deviation[c];
    ranges.push_back(
        {statistics.mean[c] - spread, statistics.mean[c], std::fabs(statistics.mean[c]) + spread});
  }
  return ranges;
}

// One pass over the data, before any layer is changed.
Status Sweep(Session* session, const engine::ExecutorOptions& options,
             const std::vector<engine::Tap>& taps) {
  const RunnableGraph runnable(*session);
  ASSIGN_OR_RETURN(const auto executor, engine::Executor::Create(session->model, options));
  RETURN_IF_ERROR(session->data->Rewind());
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<Batch> batch, session->data->Next());
    if (!batch) return OkStatus();
    ASSIGN_OR_RETURN(const auto outputs, executor->Run(batch->inputs, taps));
  }
}

// Ranges of the outputs of `chains` that have no entry yet, from one sweep over the data.
Status MeasureRanges(Session* session, const std::vector<ShiftChain>& chains,
                     std::map<std::string, std::vector<ChannelRange>>* ranges) {
  struct Sums {
    std::vector<ChannelRange> channels;
    std::vector<double> sum;
    double count = 0, largest = 0;
    bool last = false;
  };
  std::map<std::string, Sums> measured;
  engine::ExecutorOptions options;
  std::vector<engine::Tap> taps;
  for (const ShiftChain& chain : chains) {
    const std::string& value = chain.first.output();
    if (ranges->contains(value)) continue;
    Sums& sums = measured[value];
    sums.channels.resize(static_cast<size_t>(chain.first.out_channels()));
    sums.sum.resize(sums.channels.size());
    sums.last = !graph::IsConvolution(chain.first);
    options.tapped_values.push_back(value);
    taps.push_back({value, false, [&sums](const engine::TapView& view) -> Status {
                      const auto channels = static_cast<int64_t>(sums.channels.size());
                      int64_t inner = 1;
                      for (size_t axis = 2; !sums.last && axis < view.shape.size(); ++axis)
                        inner *= view.shape[axis];
                      for (size_t i = 0; i < view.data.size(); ++i) {
                        const auto c =
                            static_cast<size_t>(static_cast<int64_t>(i) / inner % channels);
                        const double x = view.data[i];
                        sums.channels[c].low = std::min(sums.channels[c].low, x);
                        sums.sum[c] += x;
                        sums.largest = std::max(sums.largest, std::fabs(x));
                      }
                      sums.count +=
                          static_cast<double>(view.data.size()) / static_cast<double>(channels);
                      return OkStatus();
                    }});
  }
  if (measured.empty()) return OkStatus();
  RETURN_IF_ERROR(Sweep(session, options, taps));
  for (auto& [value, sums] : measured) {
    if (sums.count == 0) continue;
    for (size_t c = 0; c < sums.channels.size(); ++c) {
      sums.channels[c].mean = sums.sum[c] / sums.count;
      sums.channels[c].size = sums.largest;  // of the tensor: its range is the relevant one
    }
    (*ranges)[value] = std::move(sums.channels);
  }
  return OkStatus();
}

// ---- moving the bias

// b2 + W2 c
std::vector<double> AbsorbingBias(const Graph& graph, const ChannelConsumer& consumer,
                                  const std::vector<double>& shifts) {
  const WeightedLayer& layer = consumer.layer;
  const std::vector<double> weight = graph::ReadWeight(graph, layer);
  std::vector<double> bias = graph::ReadBias(graph, layer);
  for (int64_t g = 0; g < layer.groups; ++g)
    for (int64_t o = 0; o < layer.out_per_group; ++o) {
      double sum = 0;
      for (int64_t i = 0; i < layer.in_per_group; ++i) {
        const auto channel = static_cast<size_t>((g * layer.in_per_group + i) / consumer.repeat);
        for (int64_t k = 0; k < layer.kernel; ++k)
          sum += weight[static_cast<size_t>(layer.Index(g, o, i, k))] * shifts[channel];
      }
      bias[static_cast<size_t>(g * layer.out_per_group + o)] += layer.weight_factor * sum;
    }
  return bias;
}

std::vector<double> Bounds(const Graph& graph, const ShiftChain& chain) {
  std::vector<double> bounds =
      graph::ToDoubles(*graph::FindChannelBound(graph, *chain.bound)->constant);
  if (bounds.size() == 1) bounds.assign(static_cast<size_t>(chain.first.out_channels()), bounds[0]);
  return bounds;
}

void MoveBound(Graph* graph, const ShiftChain& chain, std::vector<double> bounds,
               const std::vector<double>& shifts) {
  const auto operand = *graph::FindChannelBound(*graph, *chain.bound);
  for (size_t c = 0; c < bounds.size(); ++c) bounds[c] -= shifts[c];
  graph::ReplaceConstant(graph, chain.bound, operand.constant_index,
                         graph::ChannelConstant(*graph, chain.bound->input(operand.data_index),
                                                operand.constant->dtype(), bounds));
}

struct Absorbed {
  std::string why_not;  // "" if done
  int64_t channels = 0;
  bool approximate = false;
};

Absorbed Absorb(Session* session, ShiftChain* chain, std::vector<double> shifts,
                bool allow_padding) {
  Graph& graph = *session->model.graph;
  std::vector<double> bounds;
  if (chain->bound) {
    bounds = Bounds(graph, *chain);
    for (size_t c = 0; c < shifts.size(); ++c) shifts[c] = std::min(shifts[c], bounds[c]);
    for (double& shift : shifts) shift = std::max(shift, 0.0);
  }
  Absorbed result;
  result.channels = std::count_if(shifts.begin(), shifts.end(), [](double c) { return c != 0; });
  if (result.channels == 0) return {"no channel has a bias worth moving"};
  result.approximate = chain->activated || chain->bound;
  for (const ChannelConsumer& consumer : chain->consumers) {
    if (graph::InputShiftIsUniform(consumer.layer)) continue;
    if (!allow_padding || consumer.layer.node->Is("ConvTranspose"))
      return {StrCat(consumer.layer.node->DisplayName(), " pads with zeros")};
    result.approximate = true;
  }
  std::vector<double> bias = graph::ReadBias(graph, chain->first);
  for (size_t c = 0; c < bias.size(); ++c) bias[c] -= shifts[c];
  std::vector<std::vector<double>> absorbing;
  bool fits = graph::FitsWeightType(graph, chain->first, bias);
  for (const ChannelConsumer& consumer : chain->consumers) {
    absorbing.push_back(AbsorbingBias(graph, consumer, shifts));
    fits = fits && graph::FitsWeightType(graph, consumer.layer, absorbing.back());
  }
  if (!fits) return {"a moved bias exceeds its type"};
  graph::WriteBias(&graph, &chain->first, bias);
  for (size_t i = 0; i < absorbing.size(); ++i)
    graph::WriteBias(&graph, &chain->consumers[i].layer, absorbing[i]);
  if (chain->bound) MoveBound(&graph, *chain, bounds, shifts);
  const auto known = session->output_moments.find(chain->first.output());
  if (known != session->output_moments.end())
    for (size_t c = 0; c < shifts.size(); ++c) known->second.mean[c] -= shifts[c];
  return result;
}

// A MatMul may have received its Add since the chain was found.
void Refresh(const Graph& graph, ShiftChain* chain) {
  std::string why;
  chain->first = *graph::MatchLayer(graph, chain->first.node, &why);
  for (ChannelConsumer& consumer : chain->consumers)
    consumer.layer = *graph::MatchLayer(graph, consumer.layer.node, &why);
}

// ---- the pass

// All layers whose output is read only by layers; the others are recorded.
std::vector<ShiftChain> FindChains(const Session& session) {
  const Graph& graph = *session.model.graph;
  std::vector<ShiftChain> chains;
  for (const graph::NodePtr& node : graph.nodes()) {
    std::string why;
    const auto layer = graph::MatchLayer(graph, node.get(), &why);
    if (!layer) continue;
    ShiftChain chain{.first = *layer};
    const std::string reason = graph::FollowChain(graph, &chain);
    if (reason.empty())
      chains.push_back(std::move(chain));
    else
      session.report->Add(node->DisplayName(), "declined", reason);
  }
  return chains;
}

Result<std::map<std::string, std::vector<ChannelRange>>> FindRanges(
    Session* session, const std::string& source, const std::vector<ShiftChain>& chains) {
  std::map<std::string, std::vector<ChannelRange>> ranges;
  for (const ShiftChain& chain : chains) {
    const auto known = session->output_moments.find(chain.first.output());
    if (source == "data" || known == session->output_moments.end()) continue;
    if (static_cast<int64_t>(known->second.mean.size()) != chain.first.out_channels() ||
        known->second.deviation.size() != known->second.mean.size())
      continue;  // of another layer that had this output's name
    ranges[chain.first.output()] = FromStatistics(known->second);
  }
  if (source != "statistics" && session->data != nullptr)
    RETURN_IF_ERROR(MeasureRanges(session, chains, &ranges));
  return ranges;
}

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  const std::string& source = params.String("source");
  if (source == "data" && session.data == nullptr)
    return UsageError("source: data needs calibration data: give --calib, or a data section");
  std::vector<ShiftChain> chains = FindChains(session);
  for (const ShiftChain& chain : chains)
    for (const ChannelConsumer& consumer : chain.consumers)
      if (!graph::AllFinite(*session.model.graph->Constant(consumer.layer.weight())))
        return ModelError(StrCat("node ", consumer.layer.node->DisplayName(), ": tensor '",
                                 consumer.layer.weight(), "' holds NaN or infinity"));
  ASSIGN_OR_RETURN(const auto ranges, FindRanges(&session, source, chains));
  int64_t count = 0, channels = 0;
  bool approximate = false;
  for (ShiftChain& chain : chains) {
    Refresh(*session.model.graph, &chain);
    const std::string name = chain.first.node->DisplayName();
    const auto range = ranges.find(chain.first.output());
    if (range == ranges.end()) {
      session.report->Add(
          name, "declined",
          "its values are unknown: there is no folded batch normalization and no data");
      continue;
    }
    const std::vector<double> shifts = Shifts(chain, range->second);
    const Absorbed absorbed = Absorb(&session, &chain, shifts, params.String("padding") == "allow");
    if (!absorbed.why_not.empty()) {
      session.report->Add(name, "declined", absorbed.why_not);
      continue;
    }
    ++count;
    channels += absorbed.channels;
    approximate |= absorbed.approximate;
    session.report->Add(name, "absorbed",
                        StrCat("the bias of ", absorbed.channels, " of ", shifts.size(),
                               " channels, up to ", *std::max_element(shifts.begin(), shifts.end()),
                               ", by ", chain.consumers.front().layer.node->DisplayName()));
  }
  session.report->Metric("absorbed", count);
  session.report->Metric("channels", channels);
  if (count == 0) return Outcome::kUnchanged;
  return approximate ? Outcome::kApproximate : Outcome::kChanged;
}

}  // namespace

PassInfo high_bias_absorb_pass() {
  return {
      .name = "high_bias_absorb",
      .summary =
          "moves large biases through the activation function into the bias of the next layer",
      .params =
          {{.name = "source",
            .default_value = std::string("auto"),
            .help = "source of the distribution of a layer's output; statistics: the folded batch "
                    "normalization; data: calibration data; auto: statistics if known, else data",
            .choices = {"auto", "statistics", "data"}},
           {.name = "padding",
            .default_value = std::string("skip"),
            .help = "layers that pad with zeros; skip: leave them unchanged; allow: accept errors "
                    "at the borders",
            .choices = {"skip", "allow"}}},
      // If it is not, the runner measures the difference instead of checking it.
      .float_equivalent = true,
      .run = Run};
}

}  // namespace roundel::passes
