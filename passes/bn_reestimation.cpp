// Re-estimation of batch normalization: fits the gain and the offset of every output channel again,
// after the weights have been rounded.
//
// method: regression. Batch normalization that is folded into its layer gave the layer's scales and
// biases, for the statistics of the float model. With y_c the output of channel c in the float
// model, and z_c in the model with rounded weights (of this layer and of all layers before it), the
// least squares fit on the calibration samples and all positions is
//
//   gain_c = cov(y_c, z_c) / var(z_c)        offset_c = mean(y_c) - gain_c mean(z_c)
//
// The output gain_c z_c + offset_c costs nothing: the gain is multiplied into the scale of the
// channel's weights, and the offset, with the gain times the old bias, becomes the bias. Codes stay
// as they are. (To match the variance of y instead would amplify the rounding noise in z.)
//
// Layers are visited in order, in one walk, each with the layers before it already fitted. Outputs
// are those before an activation function. Scales that channels share (per tensor, or the groups of
// a ConvTranspose) get one gain, fitted for all of them: the sum of covariances over the sum of
// variances.
//
// A share of the samples is held out. A channel whose fit has more error on these gets only the
// offset, or nothing, so that no layer has more error on held-out samples than before. A gain that
// is not positive is not used.
//
// method: statistics. For models that still hold BatchNormalization (recipes without bn_fold): the
// running mean and variance become those of the values that reach it in the model with rounded
// weights, channel by channel, under the same condition. The published form averages the means and
// variances of batches, with other layers in the state of training; here they are those of all
// samples, which do not depend on the size of batches, and earlier normalizations use their new
// statistics.
//
// Fits codes of any pass that has rounded, and of calibrate alone (which rounds to nearest). After
// optimal_rounding there is little to gain: it chooses scales and biases by the same error. The pass
// declines offsets of layers without a changeable bias, and gains of scales that are no free
// numbers, or belong to several layers. It does nothing to layers with float weights.
//
// Sources: Sun et al. 2019 (Hybrid 8-bit floating point: statistics tuned again after rounding) and
// Nagel et al. 2022 (Overcoming oscillations in quantization-aware training), for the statistics;
// the regression replaces matching of variances. Cost: one
// walk over the data, in which each layer is computed once more for the float model.

#include <cmath>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/batch_norm.h"
#include "lib/layers/refit.h"
#include "lib/walk/stretch.h"
#include "passes/pass.h"

namespace roundel::passes {
namespace {

using graph::Node;
using layers::Affine;
using layers::ChannelPairs;
using layers::PairSums;

struct Refit {
  Session& session;
  double held_out;
  graph::Model floats;                  // for targets
  quant::EncodingTable weights = {};    // that the walk applies
  std::vector<const Node*> nodes = {};  // to visit
  int64_t layers = 0, scaled = 0, moved = 0, channels = 0, declined = 0;
  double before = 0, after = 0;  // sums of relative errors on the samples that decide
};

void Record(Refit& r, const Node& node, const ChannelPairs& pairs, const std::vector<Affine>& old,
            const std::vector<Affine>& fits) {
  report::LayerOutcome outcome = layers::OutcomeOf(node.DisplayName(), pairs, old, fits);
  int64_t scaled = 0, moved = 0;
  for (size_t c = 0; c < fits.size(); ++c) {
    scaled += fits[c].gain != old[c].gain;
    moved += fits[c].offset != old[c].offset;
  }
  outcome.note = StrCat(scaled, " gains and ", moved, " offsets for ", fits.size(), " channels");
  r.scaled += scaled;
  r.moved += moved;
  r.channels += std::ssize(fits);
  ++r.layers;
  r.before += outcome.held_out_before.value_or(outcome.error_before);
  r.after += outcome.held_out_after.value_or(outcome.error_after);
  r.session.report->layers.push_back(std::move(outcome));
}

void Decline(Refit& r, const Node& node, const std::string& what, const std::string& why) {
  r.session.report->Add(node.DisplayName(), what, why);
  r.declined += what == "declined";
}

// Nodes from `input` to `output`, as models of one float input: in the float model, and with
// rounded weights.
Result<layers::ComputePairs> MakeRunners(const Refit& r, const walk::Stretches::Part& part) {
  std::shared_ptr<engine::Executor> target, value;
  ASSIGN_OR_RETURN(target,
                   engine::Executor::Create(walk::PartModel(r.floats, part, {DType::kFloat})));
  ASSIGN_OR_RETURN(value,
                   engine::Executor::Create(walk::PartModel(r.session.model, part, {DType::kFloat}),
                                            {.simulate = &r.weights}));
  return layers::ComputePairs(
      [target, value](const walk::LayerBatch& batch) -> Result<layers::PairTensors> {
        ASSIGN_OR_RETURN(const std::vector<Tensor> y, target->Run({batch.reference}));
        ASSIGN_OR_RETURN(const std::vector<Tensor> z, value->Run({batch.quantized}));
        return layers::PairTensors{y[0], z[0]};
      });
}

size_t PositionOf(const graph::Graph& graph, const Node* node) {
  size_t position = 0;
  while (graph.nodes()[position].get() != node) ++position;
  return position;
}

// ---- regression

Result<std::string> FitLayer(Refit& r, const Node* node, const walk::LayerInputs& inputs) {
  const graph::Graph& graph = *r.session.model.graph;
  std::string why;
  const auto layer = graph::MatchLayer(graph, const_cast<Node*>(node), &why);
  const layers::RefitRules rules = layers::RulesOf(r.session, *layer);
  walk::Stretches::Part part{.inputs = {layer->input()}, .outputs = {layer->output()}};
  part.nodes.push_back(PositionOf(graph, node));
  if (layer->bias_add) part.nodes.push_back(PositionOf(graph, layer->bias_add));
  ASSIGN_OR_RETURN(const ChannelPairs pairs,
                   layers::GatherPairs(inputs, r.held_out, graph::IsConvolution(*layer) ? 1 : -1,
                                       [&] { return MakeRunners(r, part); }));
  const std::vector<Affine> old(pairs.fit.size());
  std::vector<Affine> fits = layers::ChooseFits(pairs, graph::ReadBias(graph, *layer), rules);
  why = layers::ApplyFits(r.session, *layer, fits, "bn_reestimation");
  if (!why.empty()) {
    Decline(r, *node, "declined", why);
    fits = old;
  }
  if (!rules.scales) Decline(r, *node, "gain kept", rules.why_no_scales);
  if (!rules.bias) Decline(r, *node, "offset kept", rules.why_no_bias);
  r.weights[layer->weight()] = r.session.encodings.at(layer->weight());
  Record(r, *node, pairs, old, fits);
  return node->DisplayName();
}

void FindLayers(Refit& r) {
  const graph::Graph& graph = *r.session.model.graph;
  for (const graph::NodePtr& node : graph.nodes()) {
    if (!graph::IsLayerOp(*node)) continue;
    if (!r.weights.contains(node->input(graph::WeightIndex(graph, *node)))) continue;
    std::string why;
    const auto layer = graph::MatchLayer(graph, node.get(), &why);
    if (layer && graph.Constant(layer->input())) why = "its input is a constant";
    if (!why.empty())
      Decline(r, *node, "declined", why);
    else
      r.nodes.push_back(node.get());
  }
}

// ---- statistics

struct Norm {
  std::vector<double> gamma, beta, mean, variance;
  double epsilon = 0;

  Norm(const graph::Graph& graph, const Node& node)
      : gamma(graph::ToDoubles(*graph.Constant(node.input(1)))),
        beta(graph::ToDoubles(*graph.Constant(node.input(2)))),
        mean(graph::ToDoubles(*graph.Constant(node.input(3)))),
        variance(graph::ToDoubles(*graph.Constant(node.input(4)))),
        epsilon(node.Float("epsilon", 1e-5f)) {}

  Affine Fit(size_t c) const {
    const double gain = gamma[c] / std::sqrt(variance[c] + epsilon);
    return {gain, beta[c] - mean[c] * gain};
  }
};

Result<std::string> FitNorm(Refit& r, Node* node, const walk::LayerInputs& inputs) {
  graph::Graph& graph = *r.session.model.graph;
  const walk::Stretches::Part part{
      .nodes = {PositionOf(graph, node)}, .inputs = {node->input(0)}, .outputs = {node->output(0)}};
  const auto make = [&]() -> Result<layers::ComputePairs> {
    std::shared_ptr<engine::Executor> target;
    ASSIGN_OR_RETURN(target,
                     engine::Executor::Create(walk::PartModel(r.floats, part, {DType::kFloat})));
    return layers::ComputePairs(
        [target](const walk::LayerBatch& batch) -> Result<layers::PairTensors> {
          ASSIGN_OR_RETURN(const std::vector<Tensor> y, target->Run({batch.reference}));
          return layers::PairTensors{y[0], batch.quantized};
        });
  };
  ASSIGN_OR_RETURN(const ChannelPairs pairs, layers::GatherPairs(inputs, r.held_out, 1, make));
  const std::vector<PairSums>& judge = pairs.held_out.empty() ? pairs.fit : pairs.held_out;
  Norm norm(graph, *node), measured = norm;
  std::vector<Affine> old, fits;
  for (size_t c = 0; c < pairs.fit.size(); ++c) {
    old.push_back(norm.Fit(c));
    measured.mean[c] = pairs.fit[c].z / pairs.fit[c].count;
    measured.variance[c] = pairs.fit[c].Variance() / pairs.fit[c].count;
    const bool better =
        layers::SquaredError(judge[c], measured.Fit(c)) < layers::SquaredError(judge[c], old[c]);
    if (better) {
      norm.mean[c] = measured.mean[c];
      norm.variance[c] = measured.variance[c];
    }
    fits.push_back(norm.Fit(c));
  }
  for (const auto& [index, values] : {std::pair(size_t{3}, &norm.mean), {4, &norm.variance}}) {
    const Tensor& before = *graph.Constant(node->input(index));
    graph::ReplaceConstant(&graph, node, index,
                           graph::FromDoubles(*values, before.dtype(), before.shape()));
  }
  Record(r, *node, pairs, old, fits);
  return node->DisplayName();
}

void FindNorms(Refit& r) {
  const graph::Model& model = r.session.model;
  for (const graph::NodePtr& node : model.graph->nodes()) {
    if (!node->Is("BatchNormalization")) continue;
    const std::string why = graph::BatchNormObstacle(*model.graph, model.Opset(), *node);
    if (!why.empty())
      Decline(r, *node, "declined", why);
    else
      r.nodes.push_back(node.get());
  }
}

Outcome Finish(Refit& r) {
  report::PassReport& report = *r.session.report;
  report.Metric("layers", r.layers);
  report.Metric("channels", r.channels);
  report.Metric("gains", r.scaled);
  report.Metric("offsets", r.moved);
  report.Metric("declined", r.declined);
  if (r.layers > 0) {
    report.Metric("relative_error_before", r.before / static_cast<double>(r.layers));
    report.Metric("relative_error_after", r.after / static_cast<double>(r.layers));
  }
  return r.scaled + r.moved > 0 ? Outcome::kChanged : Outcome::kUnchanged;
}

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  Refit r{.session = session,
          .held_out = params.Float("held_out"),
          .floats = graph::Clone(session.float_model ? *session.float_model : session.model)};
  const bool statistics = params.String("method") == "statistics";
  for (const auto& [value, encoding] : session.encodings)
    if (encoding.role == quant::Role::kWeight) r.weights[value] = encoding;
  statistics ? FindNorms(r) : FindLayers(r);
  if (r.nodes.empty()) {
    if (statistics && r.declined == 0)
      session.report->warnings.push_back(
          "the model holds no BatchNormalization (bn_fold removes it): use method: regression");
    return Finish(r);
  }
  const walk::WalkOptions walk{.reference = &r.floats,
                               .samples = params.Int("samples"),
                               .memory_bytes = params.Int("memory") * 1000000,
                               .label = "bn_reestimation"};
  RETURN_IF_ERROR(walk::WalkLayers(
      session.model, r.weights, r.nodes, *session.data, walk,
      [&](size_t i, const walk::LayerInputs* inputs) -> Result<std::string> {
        Result<std::string> said = statistics ? FitNorm(r, const_cast<Node*>(r.nodes[i]), *inputs)
                                              : FitLayer(r, r.nodes[i], *inputs);
        if (!said.ok()) return Status(said.status()).At("node " + r.nodes[i]->DisplayName());
        return said;
      }));
  return Finish(r);
}

}  // namespace

PassInfo bn_reestimation_pass() {
  return {
      .name = "bn_reestimation",
      .summary = "fits gain and offset of each channel again, to the outputs of the float model",
      .params = {{.name = "method",
                  .default_value = std::string("regression"),
                  .help = "regression: gains into the scales of weights, offsets into biases; "
                          "statistics: of the BatchNormalization nodes that the model holds",
                  .choices = {"regression", "statistics"}},
                 {.name = "samples",
                  .default_value = int64_t{0},
                  .help = "number of calibration samples to use, in whole batches; 0 = all",
                  .min = 0,
                  .unit = "samples"},
                 {.name = "held_out",
                  .default_value = 0.2,
                  .help = "share of the samples that is kept apart to judge fits; 0 = none",
                  .min = 0,
                  .max = 0.5},
                 {.name = "memory",
                  .default_value = int64_t{1500},
                  .help = "memory for stored activations, which otherwise go to a temporary file",
                  .min = 1,
                  .unit = "MB"}},
      .needs_data = true,
      .needs_grids = true,
      .corrects_rounding = true,
      .run = Run};
}

}  // namespace roundel::passes
