// Folds batch normalization into the weights of an adjacent layer.
//
//   backward:  x -> Conv(W, b) -> BN -> y      becomes   x -> Conv(W', b') -> y
//   forward:   x -> BN -> Conv(W, b) -> y      becomes   x -> Conv(W', b') -> y
//
// In inference BN is one multiplication and one addition per channel c,
//
//   BN(x)_c = a_c x_c + d_c,    a_c = gamma_c / sqrt(var_c + epsilon),    d_c = beta_c - mean_c a_c
//
// (Ioffe and Szegedy 2015, section 3.1). A layer is linear, so that for output channel o and input
// channel i, exactly:
//
//   backward:  W'[o, i] = a_o W[o, i]      b'_o = a_o b_o + d_o
//   forward:   W'[o, i] = a_i W[o, i]      b'_o = b_o + sum_i,k W[o, i, k] d_i
//
// Layers are Conv, ConvTranspose, Gemm and MatMul (which gets an Add for its bias), of any rank,
// grouped or depthwise. Backward folding is preferred, because it has no condition on padding. Its
// output moments (mean beta, deviation |gamma|) are kept in Session::output_moments for passes that
// otherwise need data. Constants that are added or multiplied per channel after a layer (BN as
// some exporters write it) are folded backward as well.
//
// Allowed between the two are
//
//   - Pad, in both directions: reflect and edge modes always; constant mode with value p only if
//     one new constant suits all channels, because Pad has a scalar: a_c p + d_c backward, (p -
//     d_c) / a_c forward;
//   - Flatten(axis=1) or an equivalent Reshape, forward: each channel of BN then corresponds to as
//     many inputs of the layer as there are positions.
//
// Does nothing, and records the reason, if a parameter or the weight is not constant, BN is in
// training mode, the value between the two has other readers or is a graph output, a forward fold
// meets zero padding and d is not zero (the padding would have to become -d_c / a_c), the channel
// axes differ, or the folded weight does not fit its type. A weight with other readers is copied.
// Cost: a few operations per weight.

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/graph/batch_norm.h"
#include "lib/graph/channel_affine.h"
#include "lib/graph/layer.h"
#include "lib/graph/match.h"
#include "lib/graph/weight_scaling.h"
#include "passes/pass.h"

namespace roundel::passes {
namespace {

using graph::ChannelAffine;
using graph::Graph;
using graph::Node;
using graph::WeightedLayer;

struct Context {
  Graph& graph;
  int64_t opset;
  std::map<std::string, OutputMoments>& statistics;
  report::PassReport& report;
};

// The outcome of one candidate.
struct Attempt {
  bool done = false;
  std::string why;  // the reason if it was not folded
};
Attempt Declined(std::string why) { return {false, std::move(why)}; }

Result<std::vector<double>> ReadFiniteBias(const Graph& graph, const WeightedLayer& layer) {
  std::vector<double> bias = graph::ReadBias(graph, layer);
  if (!graph::AllFinite(bias))
    return ModelError(StrCat("the bias of ", layer.node->DisplayName(), " holds NaN or infinity"));
  return bias;
}

bool IsElementwise(const Node& node) {
  return node.Is("Mul") || node.Is("Add") || node.Is("Sub") || node.Is("Div");
}

// ---- nodes between layer and BN

// The node that produces `value` if `reader` is its only reader.
Node* SoleProducer(const Graph& graph, const std::string& value, const Node& reader,
                   std::string* why) {
  if (graph.IsOutput(value)) {
    *why = StrCat("its input '", value, "' is a graph output");
  } else if (!graph.Producer(value)) {
    *why = StrCat("no layer produces its input '", value, "'");
  } else if (graph.OnlyConsumer(value) != &reader) {
    *why = StrCat("its input '", value, "' has other readers");
  } else {
    return graph.Producer(value);
  }
  return nullptr;
}

// The reason why BN cannot move across `node`, a Pad, for any constant; "" if it can.
std::string WhyPadBlocks(const Context& context, const Node& node) {
  const auto pad = graph::ReadPad(context.graph, node, context.opset);
  if (!pad) return StrCat("node ", node.DisplayName(), " is not constant");
  if (pad->PadsAxis(1)) return StrCat("node ", node.DisplayName(), " adds channels");
  return "";
}

// Sets the constant of a Pad next to BN for the time after BN has moved across it. `moved` returns
// the new constant in channel c for the old one.
template <typename Moved>
Attempt MovePadValue(const Context& context, Node* node, size_t channels, DType type,
                     const Moved& moved) {
  const auto pad = graph::ReadPad(context.graph, *node, context.opset);
  if (pad->mode != "constant") return {true, ""};
  const auto first = static_cast<float>(moved(pad->value, 0));
  for (size_t c = 0; c < channels; ++c)
    if (!std::isfinite(first) || static_cast<float>(moved(pad->value, c)) != first)
      return Declined(
          StrCat("node ", node->DisplayName(), " would need a different constant per channel"));
  if (first != static_cast<float>(pad->value))
    graph::SetPadValue(&context.graph, node, context.opset, type, first);
  return {true, ""};
}

// ---- backward

// Mean and deviation of the layer's output, whose new name is `output`.
void MoveStatistics(const Context& context, const std::string& old_output,
                    const std::string& output, const ChannelAffine& affine) {
  const auto known = context.statistics.extract(old_output);
  if (!affine.mean.empty()) {
    context.statistics[output] = {affine.mean, affine.deviation};
  } else if (!known.empty()) {
    OutputMoments statistics = known.mapped();
    for (size_t c = 0; c < affine.scale.size(); ++c) {
      statistics.mean[c] = affine.scale[c] * statistics.mean[c] + affine.shift[c];
      statistics.deviation[c] *= std::fabs(affine.scale[c]);
    }
    context.statistics[output] = std::move(statistics);
  }
}

// Removes `node`; `producer` then makes its output.
void TakeOver(const Context& context, Node* producer, const Node* node) {
  const std::string old_output = producer->output(0), output = node->output(0);
  graph::RemoveNodeAndConstants(&context.graph, node);
  context.graph.SetOutput(producer, 0, output);
  graph::ForgetValue(&context.graph, old_output);
}

Result<Attempt> FoldBackward(const Context& context, Node* node) {
  Graph& graph = context.graph;
  const bool batch_norm = node->Is("BatchNormalization");
  size_t data = 0;
  if (!batch_norm) {
    const auto operand = graph::FindConstantOperand(graph, *node);
    if (!operand) return Declined("neither operand is a constant");
    data = operand->data_index;
  }
  std::string why;
  Node* producer = SoleProducer(graph, node->input(data), *node, &why);
  if (!producer) return Declined(why);
  Node* pad = batch_norm && producer->Is("Pad") ? producer : nullptr;
  if (pad) {
    why = WhyPadBlocks(context, *pad);
    producer = why.empty() ? SoleProducer(graph, pad->input(0), *pad, &why) : nullptr;
  }
  if (!producer) return Declined(why);
  auto layer = graph::LayerProducing(graph, producer->output(0), &why);
  if (!layer) return Declined(StrCat(producer->DisplayName(), " before it: ", why));
  if (layer->bias_add == node) return Declined("it is the layer's bias already");
  if (batch_norm && layer->node->Is("MatMul") && graph::RankOf(graph, node->output(0)) != 2)
    return Declined("the result of the MatMul before it may not be a matrix");

  ChannelAffine affine;
  if (batch_norm) {
    ASSIGN_OR_RETURN(affine, graph::ReadBatchNorm(graph, *node));
  } else if (auto read = graph::ReadElementwise(graph, *node, *layer)) {
    affine = std::move(*read);
  } else {
    return Declined("its constant is not one value per channel");
  }
  const auto channels = static_cast<size_t>(layer->out_channels());
  if (affine.scale.size() != channels)
    return ModelError(StrCat("it has ", affine.scale.size(), " channels, but ",
                             layer->node->DisplayName(), " before it gives ", channels));
  std::optional<Tensor> weight = graph::ScaledWeight(graph, *layer, affine.scale, {});
  if (!weight) RETURN_IF_ERROR(graph::ReadFinite(graph, layer->weight()).status());
  ASSIGN_OR_RETURN(std::vector<double> bias, ReadFiniteBias(graph, *layer));
  for (size_t c = 0; c < channels; ++c) bias[c] = affine.scale[c] * bias[c] + affine.shift[c];
  if (!weight || !graph::FitsWeightType(graph, *layer, bias))
    return Declined(
        StrCat("the folded weight or bias of ", layer->node->DisplayName(), " exceeds its type"));
  if (pad) {
    const DType type = graph.Constant(layer->weight())->dtype();
    Attempt moved = MovePadValue(context, pad, channels, type, [&](double p, size_t c) {
      return affine.scale[c] * p + affine.shift[c];
    });
    if (!moved.done) return moved;
  }
  graph::ReplaceConstant(&graph, layer->node, 1, std::move(*weight));
  graph::WriteBias(&graph, &*layer, bias);
  const std::string output = pad ? layer->output() : node->output(0);
  MoveStatistics(context, layer->output(), output, affine);
  context.report.Add(node->DisplayName(), "folded",
                     StrCat("backward into ", layer->node->DisplayName()));
  TakeOver(context, pad ? pad : layer->bias_add ? layer->bias_add : layer->node, node);
  return Attempt{true, ""};
}

// ---- forward

// The only layer that reads the output of BN, and the nodes in between.
struct ForwardTarget {
  Node* pad = nullptr;
  WeightedLayer layer;
  int64_t repeat = 1;  // inputs of the layer per channel of BN
};

std::optional<ForwardTarget> FindForwardTarget(const Context& context, const Node& node,
                                               int64_t channels, std::string* why) {
  const Graph& graph = context.graph;
  ForwardTarget target;
  const Node* before = &node;
  const auto next = [&]() -> Node* {
    Node* reader = graph.OnlyConsumer(before->output(0));
    if (!reader)
      *why = graph.IsOutput(before->output(0)) ? "its result is a graph output"
                                               : "its result has no reader or several";
    return reader;
  };
  Node* reader = next();
  if (reader && reader->Is("Pad")) {
    *why = WhyPadBlocks(context, *reader);
    if (!why->empty()) return std::nullopt;
    before = target.pad = reader;
    reader = next();
  }
  bool flattened = false;
  if (reader && graph::FlattensToChannels(graph, *reader)) {
    flattened = true;
    before = reader;
    reader = next();
  }
  if (!reader) return std::nullopt;
  std::string layer_why;
  auto layer = graph::MatchLayer(graph, reader, &layer_why);
  if (!layer || layer->input() != before->output(0)) {
    *why = StrCat(reader->DisplayName(),
                  " after it: ", layer ? "does not read it as its data" : layer_why);
    return std::nullopt;
  }
  if (layer->node->Is("MatMul") && graph::RankOf(graph, layer->input()) != 2) {
    *why = "the input of the MatMul after it may not be a matrix";
    return std::nullopt;
  }
  target.repeat = layer->in_channels() / channels;
  if (target.repeat * channels != layer->in_channels() || (target.repeat != 1 && !flattened)) {
    *why = StrCat(reader->DisplayName(), " after it reads ", layer->in_channels(),
                  " channels, not ", channels);
    return std::nullopt;
  }
  target.layer = *layer;
  return target;
}

void ScaleInputs(const WeightedLayer& layer, int64_t repeat, const ChannelAffine& affine,
                 std::vector<double>* weight, std::vector<double>* bias) {
  for (int64_t g = 0; g < layer.groups; ++g)
    for (int64_t o = 0; o < layer.out_per_group; ++o) {
      double sum = 0;
      for (int64_t i = 0; i < layer.in_per_group; ++i) {
        const auto channel = static_cast<size_t>((g * layer.in_per_group + i) / repeat);
        for (int64_t k = 0; k < layer.kernel; ++k) {
          double& w = (*weight)[static_cast<size_t>(layer.Index(g, o, i, k))];
          sum += w * affine.shift[channel];
          w *= affine.scale[channel];
        }
      }
      (*bias)[static_cast<size_t>(g * layer.out_per_group + o)] += layer.weight_factor * sum;
    }
}

Result<Attempt> FoldForward(const Context& context, Node* node) {
  Graph& graph = context.graph;
  ASSIGN_OR_RETURN(const ChannelAffine affine, graph::ReadBatchNorm(graph, *node));
  const size_t channels = affine.scale.size();
  std::string why;
  auto target = FindForwardTarget(context, *node, static_cast<int64_t>(channels), &why);
  if (!target) return Declined(why);
  WeightedLayer& layer = target->layer;
  const bool shifts =
      std::any_of(affine.shift.begin(), affine.shift.end(), [](double d) { return d != 0; });
  if (shifts && !graph::InputShiftIsUniform(layer))
    return Declined(
        StrCat(layer.node->DisplayName(), " after it pads with zeros, which BN would shift"));
  ASSIGN_OR_RETURN(std::vector<double> weight, graph::ReadFinite(graph, layer.weight()));
  ASSIGN_OR_RETURN(std::vector<double> bias, ReadFiniteBias(graph, layer));
  ScaleInputs(layer, target->repeat, affine, &weight, &bias);
  if (!graph::FitsWeightType(graph, layer, weight) || !graph::FitsWeightType(graph, layer, bias))
    return Declined(
        StrCat("the folded weight or bias of ", layer.node->DisplayName(), " exceeds its type"));
  if (target->pad) {
    const DType type = graph.Constant(layer.weight())->dtype();
    Attempt moved = MovePadValue(context, target->pad, channels, type, [&](double p, size_t c) {
      return (p - affine.shift[c]) / affine.scale[c];
    });
    if (!moved.done) return moved;
  }
  graph::WriteWeight(&graph, layer, weight);
  graph::WriteBias(&graph, &layer, bias);
  context.report.Add(node->DisplayName(), "folded",
                     StrCat("forward into ", layer.node->DisplayName()));
  const std::string input = node->input(0), output = node->output(0);
  graph::RemoveNodeAndConstants(&graph, node);
  graph.ReplaceUses(output, input);
  graph::ForgetValue(&graph, output);
  return Attempt{true, ""};
}

// ---- the pass

// Both directions for BN, only backward for constants.
Result<Attempt> Fold(const Context& context, Node* node) {
  if (!node->Is("BatchNormalization")) return FoldBackward(context, node);
  const std::string unfit = graph::BatchNormObstacle(context.graph, context.opset, *node);
  if (!unfit.empty()) return Declined(unfit);
  ASSIGN_OR_RETURN(const Attempt backward, FoldBackward(context, node));
  if (backward.done) return backward;
  ASSIGN_OR_RETURN(const Attempt forward, FoldForward(context, node));
  if (forward.done) return forward;
  return Declined(StrCat("backward: ", backward.why, "; forward: ", forward.why));
}

std::vector<Node*> Candidates(const Graph& graph, bool constants) {
  std::vector<Node*> found;
  for (const graph::NodePtr& node : graph.nodes())
    if (node->Is("BatchNormalization") || (constants && IsElementwise(*node)))
      found.push_back(node.get());
  return found;
}

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  Graph& graph = *session.model.graph;
  const Context context{graph, session.model.Opset(), session.output_moments, *session.report};
  int64_t folds = 0;
  std::vector<report::Record> declined;
  // A fold can make its neighbor foldable (BN -> BN -> Conv), hence rounds until nothing changes.
  for (bool changed = true; changed;) {
    changed = false;
    declined.clear();
    for (Node* node : Candidates(graph, params.Bool("constants"))) {
      const std::string name = node->DisplayName();
      const bool batch_norm = node->Is("BatchNormalization");
      auto attempt = Fold(context, node);
      if (!attempt.ok()) return std::move(attempt).status().At("node " + name);
      if (attempt->done) ++folds;
      changed = changed || attempt->done;
      if (!attempt->done && batch_norm) declined.push_back({name, "declined", attempt->why});
    }
  }
  for (report::Record& record : declined) session.report->records.push_back(std::move(record));
  session.report->Metric("folded", folds);
  session.report->Metric("declined", static_cast<int64_t>(declined.size()));
  return folds > 0 ? Outcome::kChanged : Outcome::kUnchanged;
}

}  // namespace

PassInfo bn_fold_pass() {
  return {
      .name = "bn_fold",
      .summary = "folds batch normalization into the weights of adjacent layers",
      .params =
          {{.name = "constants",
            .default_value = true,
            .help = "also fold constants that are multiplied or added per channel after a layer"}},
      .float_equivalent = true,
      .run = Run};
}

}  // namespace roundel::passes
