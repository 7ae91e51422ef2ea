// Cross-layer equalization: rescales the channels between layers so that their weight ranges agree
// and one scale per tensor suits all of them.
//
//   Conv1(W1, b1) -> Relu -> Conv2(W2)   becomes   Conv1(W1 / s, b1 / s) -> Relu -> Conv2(W2 s)
//
// This is exact if f(s x) = s f(x) for s > 0: for Relu, LeakyRelu, PRelu, pooling, and sums with
// operands that share s (lib/graph/channel_groups.h lists the others). With r1_i = max |W1[i, :]|
// over output channel i and r2_i = max |W2[:, i]| over input channel i,
//
//   s_i = sqrt(r1_i / r2_i)
//
// makes both ranges sqrt(r1_i r2_i), which maximizes the share of the tensor's range that each
// channel uses (Nagel et al. 2019, Data-free quantization, equation 11). A depthwise layer is
// consumer of one group and producer of the next: sweeps over all groups until no s changes have
// the same fixed point as the formula for triples, r1 = r2 = r3. If a group has several producers
// or consumers (residual sums), the largest range of them counts.
//
// Clip(0, 6) between the layers is not homogeneous. `relu6` selects the treatment:
//   exact  Relu, and Min with the bound 6 / s_i per channel: the same function;
//   relu   Relu only, as in the paper: another function where the bound is active;
//   skip   such groups are not scaled;
//   auto   relu if the outputs of the model with Relu reach an SQNR of `relu6_min_sqnr` against the
//          original on the data; else, or without data, exact.
//
// Guards: channels that the activation function keeps at zero are cleared first
// (lib/graph/silent_channels.h), because their weights may be much larger than the others. A dead
// channel, with a range below `dead_channel` times the largest of its tensor, keeps s = 1, because
// scaling up tiny weights would scale up its bias as well. power_of_two rounds s so that only the
// exponents of float weights change.
//
// Does nothing, and records the reason, for channels with other readers or writers (a graph input
// or output, Concat, Sigmoid ...), and if no s differs from 1 by more than `tolerance`. Cost:
// `max_iterations` times the number of weights divided by the kernel size.

#include <algorithm>
#include <cmath>
#include <set>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/channel_groups.h"
#include "lib/graph/equalizer.h"
#include "lib/graph/layer.h"
#include "lib/graph/match.h"
#include "lib/graph/silent_channels.h"
#include "lib/graph/weight_scaling.h"
#include "passes/pass.h"

namespace roundel::passes {
namespace {

using graph::ChannelConsumer;
using graph::ChannelGroup;
using graph::Equalizer;
using graph::Graph;
using graph::Node;
using graph::WeightedLayer;

double LargestLog(const std::vector<double>& scales) {
  double largest = 0;
  for (const double s : scales) largest = std::max(largest, std::fabs(std::log(s)));
  return largest;
}

// ---- writing the scales

// Narrow types may not be able to represent a scaled weight; the groups of such a layer are not
// scaled.
void DropUnfit(Equalizer* equalizer, std::vector<std::string>* reasons) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const Equalizer::Layer& layer : equalizer->layers()) {
      if (equalizer->FitsType(layer)) continue;
      for (const int group : {layer.input_group, layer.output_group}) {
        if (group < 0) continue;
        std::vector<double>& scales = equalizer->scales(static_cast<size_t>(group));
        if (LargestLog(scales) == 0) continue;
        std::fill(scales.begin(), scales.end(), 1.0);
        (*reasons)[static_cast<size_t>(group)] =
            StrCat("the scaled weight of ", layer.layer.node->DisplayName(), " exceeds its type");
        changed = true;
      }
    }
  }
}

// Clip(0, high) -> Relu, followed by Min(high / s) if `exact`.
void ReplaceClip(Graph* graph, Node* clip, DType type, const std::vector<double>& scales,
                 bool exact) {
  const double high = graph::ReadClip(*graph, *clip)->high;
  const std::string input = clip->input(0), output = clip->output(0);
  std::vector<double> bounds;
  for (const double s : scales) bounds.push_back(high / s);
  Node relu{.name = clip->name, .op_type = "Relu", .inputs = {input}, .outputs = {output}};
  if (exact) {
    relu.outputs[0] = graph->FreshName(output + "_relu");
    Node min{.op_type = "Min", .inputs = {relu.outputs[0], ""}, .outputs = {output}};
    if (!clip->name.empty()) min.name = graph->FreshName(clip->name + "_min");
    min.inputs[1] = graph->FreshName(output + "_bound");
    graph->SetInitializer(min.inputs[1], graph::ChannelConstant(*graph, input, type, bounds));
    graph->InsertAfter(clip, std::move(min));
  }
  graph->InsertBefore(clip, std::move(relu));
  graph::RemoveNodeAndConstants(graph, clip);
}

void ScaleBound(Graph* graph, Node* min, const std::vector<double>& scales) {
  const auto operand = *graph::FindConstantOperand(*graph, *min);
  const Tensor& old = *operand.constant;
  std::vector<double> bounds = graph::ToDoubles(old);
  if (bounds.size() == 1) bounds.assign(scales.size(), bounds[0]);
  for (size_t c = 0; c < bounds.size(); ++c) bounds[c] /= scales[c];
  graph::ReplaceConstant(
      graph, min, operand.constant_index,
      graph::ChannelConstant(*graph, min->input(operand.data_index), old.dtype(), bounds));
}

void ScaleStatistics(Session* session, const ChannelGroup& group,
                     const std::vector<double>& scales) {
  for (const WeightedLayer& producer : group.producers) {
    const auto found = session->output_moments.find(producer.output());
    if (found == session->output_moments.end()) continue;
    for (size_t c = 0; c < scales.size() && c < found->second.mean.size(); ++c) {
      found->second.mean[c] /= scales[c];
      found->second.deviation[c] /= scales[c];
    }
  }
}

// ---- treatment of Clip(0, 6)

// SQNR in dB of the float outputs of `changed` relative to those of `original`, the minimum over
// all outputs, on `samples` samples of the data.
Result<double> OutputSqnr(const graph::Model& original, const graph::Model& changed,
                          DataSource* data, int64_t samples) {
  ASSIGN_OR_RETURN(auto reference, engine::Executor::Create(original));
  ASSIGN_OR_RETURN(auto candidate, engine::Executor::Create(changed));
  std::vector<double> signal(original.graph->outputs.size(), 0.0), noise = signal;
  RETURN_IF_ERROR(data->Rewind());
  for (int64_t seen = 0; seen < samples;) {
    ASSIGN_OR_RETURN(const std::optional<Batch> batch, data->Next());
    if (!batch) break;
    seen += batch->size;
    ASSIGN_OR_RETURN(const auto expected, reference->Run(batch->inputs));
    ASSIGN_OR_RETURN(const auto actual, candidate->Run(batch->inputs));
    for (size_t i = 0; i < expected.size(); ++i) {
      if (!IsFloating(expected[i].dtype())) continue;
      const std::vector<double> x = graph::ToDoubles(expected[i]);
      const std::vector<double> y = graph::ToDoubles(actual[i]);
      for (size_t k = 0; k < x.size() && k < y.size(); ++k) {
        signal[i] += x[k] * x[k];
        noise[i] += (x[k] - y[k]) * (x[k] - y[k]);
      }
    }
  }
  constexpr double kNoNoise = 200;  // dB; far beyond the precision of float32
  double smallest = kNoNoise;
  for (size_t i = 0; i < signal.size(); ++i)
    if (noise[i] > 0)
      smallest = std::min(smallest, 10 * std::log10(std::max(signal[i], 1e-300) / noise[i]));
  return smallest;
}

// True: Clip(0, high) becomes only a Relu.
Result<bool> DropsBounds(Session* session, const recipe::Params& params,
                         const std::vector<std::string>& clip_outputs) {
  const std::string& mode = params.String("relu6");
  bool drops = mode == "relu";
  if (mode == "auto" && session->data != nullptr) {
    graph::Model relu = graph::Clone(session->model);
    for (const std::string& output : clip_outputs)
      ReplaceClip(relu.graph.get(), relu.graph->Producer(output), DType::kFloat, {}, false);
    ASSIGN_OR_RETURN(const double sqnr,
                     OutputSqnr(session->model, relu, session->data, params.Int("relu6_samples")));
    session->report->Metric("relu6_sqnr_db", sqnr);
    drops = sqnr >= params.Float("relu6_min_sqnr");
  }
  session->report->Metric("relu6", std::string(drops ? "relu" : "exact"));
  return drops;
}

// ---- the pass

std::string GroupName(const ChannelGroup& group) {
  return group.producers.front().node->DisplayName();
}

// The groups that can be scaled; the others are recorded.
std::vector<ChannelGroup> OpenGroups(Session* session, const recipe::Params& params) {
  const std::string& relu6 = params.String("relu6");
  // Min broadcasts since opset 8; before, the exact form cannot be expressed.
  const bool has_min = session->model.Opset() >= 8;
  graph::ChannelGroupOptions options{
      .through_clips = relu6 == "relu" || (relu6 != "skip" && has_min),
      .through_branches = params.Bool("branches")};
  std::vector<ChannelGroup> open;
  for (ChannelGroup& group :
       graph::FindChannelGroups(*session->model.graph, session->model.Opset(), options)) {
    if (group.blocked.empty())
      open.push_back(std::move(group));
    else
      session->report->Add(GroupName(group), "declined", group.blocked);
  }
  return open;
}

Status WriteScaled(Graph* graph, const Equalizer& equalizer, const Equalizer::Layer& layer) {
  const WeightedLayer& l = layer.layer;
  const Equalizer::Factors factors = equalizer.FactorsOf(layer);
  auto weight = graph::ScaledWeight(*graph, l, factors.out, factors.in);
  if (!weight)  // a group that was dropped at the end kept it small
    return ModelError(StrCat("node ", l.node->DisplayName(), ": the scaled tensor '", l.weight(),
                             "' exceeds its type"));
  graph::ReplaceConstant(graph, l.node, 1, std::move(*weight));
  return OkStatus();
}

struct Applied {
  int64_t groups = 0;         // whose channels have been scaled
  bool drops_bounds = false;  // a ReLU6 among them has become a ReLU
};

// Writes the scales of all groups that are scaled.
Result<Applied> Apply(Session* session, const recipe::Params& params, Equalizer* equalizer,
                      const std::vector<std::string>& reasons) {
  Graph* graph = session->model.graph.get();
  const std::vector<ChannelGroup>& groups = equalizer->groups();
  std::vector<std::string> clip_outputs;
  std::vector<bool> scaled;
  for (size_t g = 0; g < groups.size(); ++g) {
    std::vector<double>& scales = equalizer->scales(g);
    scaled.push_back(LargestLog(scales) > params.Float("tolerance"));
    if (!scaled[g]) std::fill(scales.begin(), scales.end(), 1.0);
    for (const Node* clip : groups[g].clips)
      if (scaled[g]) clip_outputs.push_back(clip->output(0));
  }
  Applied applied;
  if (!clip_outputs.empty()) {
    ASSIGN_OR_RETURN(applied.drops_bounds, DropsBounds(session, params, clip_outputs));
  }
  for (const Equalizer::Layer& layer : equalizer->layers()) {
    const auto moves = [&](int g) { return g >= 0 && scaled[static_cast<size_t>(g)]; };
    if (!moves(layer.input_group) && !moves(layer.output_group)) continue;
    WeightedLayer copy = layer.layer;
    const std::vector<double> bias = equalizer->ScaledBias(layer);
    if (!session->dry) RETURN_IF_ERROR(WriteScaled(graph, *equalizer, layer));
    if (moves(layer.output_group)) graph::WriteBias(graph, &copy, bias);
  }
  for (size_t g = 0; g < groups.size(); ++g) {
    const std::string name = GroupName(groups[g]);
    if (!scaled[g]) {
      session->report->Add(name, "declined",
                           reasons[g].empty() ? "its channels are already equalized" : reasons[g]);
      continue;
    }
    ++applied.groups;
    const std::vector<double>& scales = equalizer->scales(g);
    const auto [low, high] = std::minmax_element(scales.begin(), scales.end());
    std::vector<std::string> readers;
    for (const ChannelConsumer& consumer : groups[g].consumers)
      readers.push_back(consumer.layer.node->DisplayName());
    session->report->Add(name, "equalized",
                         StrCat("with ", Join(readers, ", ", 4), ", scales ", *low, " to ", *high));
    const DType type = graph->Constant(groups[g].producers.front().weight())->dtype();
    for (Node* clip : groups[g].clips)
      ReplaceClip(graph, clip, type, scales, !applied.drops_bounds);
    for (Node* min : groups[g].bounds) ScaleBound(graph, min, scales);
    ScaleStatistics(session, groups[g], scales);
  }
  return applied;
}

Status CheckFinite(const Graph& graph, const std::vector<ChannelGroup>& groups) {
  std::set<const Node*> checked;
  const auto check = [&](const WeightedLayer& layer) {
    if (!checked.insert(layer.node).second) return OkStatus();
    if (graph::AllFinite(*graph.Constant(layer.weight()))) return OkStatus();
    return ModelError(StrCat("node ", layer.node->DisplayName(), ": tensor '", layer.weight(),
                             "' holds NaN or infinity"));
  };
  for (const ChannelGroup& group : groups) {
    for (const WeightedLayer& producer : group.producers) RETURN_IF_ERROR(check(producer));
    for (const ChannelConsumer& consumer : group.consumers) RETURN_IF_ERROR(check(consumer.layer));
  }
  return OkStatus();
}

// Clears channels that are always zero before their weights are compared with the others; returns
// their number.
int64_t ClearSilent(Session* session, const std::vector<ChannelGroup>& groups) {
  int64_t count = 0;
  for (const ChannelGroup& group : groups) {
    const int64_t silent = graph::ClearSilentChannels(session->model.graph.get(), group);
    if (silent > 0)
      session->report->Add(GroupName(group), "cleared",
                           StrCat(silent, " channels that the activation keeps at zero"));
    count += silent;
  }
  return count;
}

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  std::vector<ChannelGroup> groups = OpenGroups(&session, params);
  RETURN_IF_ERROR(CheckFinite(*session.model.graph, groups));
  const int64_t silent = ClearSilent(&session, groups);
  Equalizer equalizer(*session.model.graph, std::move(groups));
  double change = 0;
  // Far below `tolerance`, so that the remaining changes do not add up to it in another run.
  const int64_t sweeps =
      equalizer.Equalize(params.Int("max_iterations"), params.Float("tolerance") / 100,
                         params.Float("dead_channel"), &change);
  if (params.Bool("power_of_two"))
    for (size_t g = 0; g < equalizer.groups().size(); ++g)
      for (double& s : equalizer.scales(g)) s = std::exp2(std::nearbyint(std::log2(s)));
  std::vector<std::string> reasons(equalizer.groups().size());
  DropUnfit(&equalizer, &reasons);
  ASSIGN_OR_RETURN(const Applied applied, Apply(&session, params, &equalizer, reasons));
  for (const Equalizer::Layer& layer : equalizer.layers())
    session.report->AddRanges(layer.layer.node->DisplayName(), equalizer.OutputRanges(layer, false),
                              equalizer.OutputRanges(layer, true));
  session.report->Metric("groups", static_cast<int64_t>(equalizer.groups().size()));
  session.report->Metric("equalized", applied.groups);
  session.report->Metric("cleared_channels", silent);
  session.report->Metric("sweeps", sweeps);
  session.report->Metric("last_change", change);
  if (applied.drops_bounds) return Outcome::kApproximate;
  return applied.groups + silent > 0 ? Outcome::kChanged : Outcome::kUnchanged;
}

recipe::ParamSpecs Specs() {
  return {
      {.name = "relu6",
       .default_value = std::string("auto"),
       .help = "how to treat Clip(0, 6) between layers",
       .choices = {"auto", "exact", "relu", "skip"}},
      {.name = "relu6_min_sqnr",
       .default_value = 30.0,
       .help = "least SQNR of the outputs with Relu instead of Clip(0, 6), against the original "
               "model (relu6 auto)",
       .unit = "dB"},
      {.name = "relu6_samples",
       .default_value = int64_t{32},
       .help = "number of samples to measure relu6_min_sqnr on (relu6 auto)",
       .min = 1,
       .unit = "samples"},
      {.name = "branches",
       .default_value = true,
       .help = "also equalize across residual sums, with one scale for all branches"},
      {.name = "max_iterations",
       .default_value = int64_t{1000},
       .help = "maximum number of sweeps over all layers",
       .min = 1,
       .max = 100000},
      {.name = "tolerance",
       .default_value = 1e-3,
       .help = "largest |log s| at which channels count as equalized",
       .min = 1e-9,
       .max = 1},
      {.name = "dead_channel",
       .default_value = 1e-4,
       .help = "share of the tensor's range below which a channel keeps its scale",
       .min = 0,
       .max = 1},
      {.name = "power_of_two",
       .default_value = false,
       .help = "round scales to powers of two, so that float weights keep their mantissas"},
  };
}

}  // namespace

PassInfo cle_pass() {
  return {.name = "cle",
          .summary = "equalizes the weight ranges of channels across layers",
          .params = Specs(),
          .float_equivalent = true,
          .run = Run};
}

}  // namespace roundel::passes
