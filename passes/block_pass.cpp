#include "passes/block_pass.h"

#include <algorithm>

#include "lib/base/text.h"
#include "passes/layerwise_pass.h"

namespace roundel::passes {
namespace {

recipe::ParamSpecs CommonParams(const BlockDefaults& defaults) {
  return {
      {.name = "samples",
       .default_value = int64_t{0},
       .help = "number of calibration samples to use, in whole batches; 0 = all",
       .min = 0,
       .unit = "samples"},
      {.name = "iterations",
       .default_value = defaults.iterations,
       .help = "steps for each block",
       .min = 1,
       .max = 1e7},
      {.name = "batch",
       .default_value = defaults.batch,
       .help = "samples of a step",
       .min = 1,
       .max = 65536,
       .unit = "samples"},
      {.name = "time",
       .default_value = 0.0,
       .help = "limit for the pass, which then takes fewer steps; 0 = none",
       .min = 0,
       .unit = "minutes"},
      {.name = "held_out",
       .default_value = 0.2,
       .help = "share of the samples that is kept apart to judge results; 0 = judge on all",
       .min = 0,
       .max = 0.5},
      {.name = "start",
       .default_value = std::string("optimal"),
       .help = "codes at which weights without codes start: those of optimal_rounding, solved on "
               "what the layer gets behind blocks that have learned, or the nearest ones",
       .choices = {"optimal", "nearest"}},
      {.name = "scale_rate",
       .default_value = defaults.scale_rate,
       .help = "learning rate of the logarithms of the weights' scales; 0 = they stay",
       .min = 0,
       .max = 1},
      {.name = "bias_rate",
       .default_value = defaults.bias_rate,
       .help =
           "learning rate of biases, relative to the lengths of the weight's rows; 0 = they stay",
       .min = 0,
       .max = 1},
      {.name = "range_rate",
       .default_value = defaults.range_rate,
       .help = "learning rate of the logarithms of activations' scales; 0 = they stay",
       .min = 0,
       .max = 1},
      {.name = "drop",
       .default_value = defaults.drop,
       .help = "probability that an element of a quantized activation stays float in a step",
       .min = 0,
       .max = 1},
      {.name = "max_layers",
       .default_value = defaults.max_layers,
       .help = "layers of a block; 0 = those that one residual connection spans",
       .min = 0},
      {.name = "memory",
       .default_value = int64_t{2000},
       .help = "memory for stored activations, which otherwise go to a temporary file",
       .min = 1,
       .unit = "MB"},
  };
}

// Fewer samples than this hardly say what is common to all data.
constexpr int64_t kFewSamples = 64;

void WarnOfFewSamples(const Session& session, const tune::TuneOptions& options) {
  int64_t samples = session.data->size();
  if (options.samples > 0) samples = std::min(samples, options.samples);
  if (samples > 0 && samples < kFewSamples)
    session.report->warnings.push_back(
        StrCat(samples, " samples are few to learn from: what is learned may fit these alone"));
}

// The weight's encoding. A weight without codes starts at the nearest ones.
quant::Encoding StartOf(const Session& session, const std::string& weight) {
  quant::Encoding encoding = session.encodings.at(weight);
  if (encoding.codes) return encoding;
  encoding.codes = quant::QuantizeTensor(*session.model.graph->Constant(weight), encoding);
  encoding.frozen = true;
  return encoding;
}

// The settings of optimal_rounding, with which layers start.
layers::LayerwiseOptions StartOptions(const tune::TuneOptions& options) {
  layers::LayerwiseOptions start{.pass = options.pass, .settings = options.settings};
  start.samples = options.samples;
  start.memory_bytes = options.memory_bytes;
  start.statistics.held_out = options.train.held_out;
  start.uses_store = false;
  return start;
}

// The axes of output and input channels of the layer's weight.
void SetAxes(const graph::WeightedLayer& layer, const Shape& weight,
             tune::RoundingSettings* settings) {
  const auto rank = static_cast<int64_t>(weight.size());
  const int64_t first = graph::IsConvolution(layer) ? 0 : rank - 2;
  settings->out_axis = layer.out_major ? first : first + 1;
  // FlexRound has factors of input channels for convolutions alone.
  if (graph::IsConvolution(layer)) settings->in_axis = layer.out_major ? 1 : 0;
}

}  // namespace

PassInfo BlockPass(const std::string& name, const std::string& summary,
                   const BlockDefaults& defaults, const recipe::ParamSpecs& params,
                   Result<Outcome> (*run)(Session&, const recipe::Params&)) {
  PassInfo info{.name = name,
                .summary = summary,
                .params = CommonParams(defaults),
                .needs_data = true,
                .needs_grids = true,
                .rounds_weights = true,
                .run = [run](Session& session, const recipe::Params& values) -> Result<Outcome> {
                  if (session.part)
                    return UsageError(
                        "blocks depend on the codes of earlier ones, so that --shard and "
                        "--sums-only cannot divide them");
                  return run(session, values);
                }};
  info.params.insert(info.params.end(), params.begin(), params.end());
  return info;
}

tune::TuneOptions ReadBlockOptions(const Session& session, const std::string& pass,
                                   const recipe::Params& params) {
  tune::TuneOptions options{.pass = pass, .settings = pass};
  for (const auto& [name, value] : params.values())
    if (name != "memory") options.settings += StrCat(" ", name, "=", recipe::ParamValueText(value));
  options.samples = params.Int("samples");
  options.memory_bytes = params.Int("memory") * 1000000;
  options.minutes = params.Float("time");
  options.blocks.max_layers = params.Int("max_layers");
  options.train.iterations = params.Int("iterations");
  options.train.batch = params.Int("batch");
  options.train.held_out = params.Float("held_out");
  for (const auto& [value, encoding] : session.encodings)
    options.activations |=
        session.placement.has_value() && encoding.role == quant::Role::kActivation;
  options.range_rates.scale = params.Float("range_rate");
  if (options.activations) options.train.drop = params.Float("drop");
  return options;
}

recipe::ParamSpecs EndToEndParams() {
  return {
      {.name = "loss",
       .default_value = std::string("auto"),
       .help = "kl: divergence of the distributions of classes, at the ends of the network; mse: "
               "squared error; auto: kl where outputs are scores of classes",
       .choices = {"auto", "kl", "mse"}},
      {.name = "hidden",
       .default_value = 0.0,
       .help = "weight of the squared errors of residual blocks inside of a block, while it learns",
       .min = 0},
      {.name = "offset_rate",
       .default_value = 1e-2,
       .help = "learning rate of zero points, in codes; 0 = they stay",
       .min = 0,
       .max = 100}};
}

tune::TuneOptions ReadEndToEndOptions(const Session& session, const std::string& pass,
                                      const recipe::Params& params) {
  tune::TuneOptions options = ReadBlockOptions(session, pass, params);
  const std::string& loss = params.String("loss");
  options.loss = loss == "auto"  ? tune::LossChoice::kAuto
                 : loss == "mse" ? tune::LossChoice::kSquared
                                 : tune::LossChoice::kDivergence;
  options.hidden = params.Float("hidden");
  options.range_rates.zero_point = params.Float("offset_rate");
  return options;
}

Result<Outcome> LearnForms(Session& session, const recipe::Params& params,
                           tune::TuneOptions options, const MakeWeightForm& weight_form,
                           const MakeOtherForms& others) {
  WarnOfFewSamples(session, options);
  const double bias_rate = params.Float("bias_rate");
  const auto forms = [&](const structure::Block& block, const std::vector<size_t>& layers,
                         int64_t iterations) -> Result<std::vector<tune::FormPtr>> {
    const graph::Graph& graph = *session.model.graph;
    std::vector<tune::FormPtr> made;
    for (const size_t k : layers) {
      std::string why;
      const auto layer = graph::MatchLayer(graph, graph.nodes()[block.layers[k]].get(), &why);
      const std::string& weight = block.weights[k];
      made.push_back(
          weight_form(weight, StartOf(session, weight), layer ? &*layer : nullptr, iterations));
      if (!layer || bias_rate <= 0) continue;
      if (tune::FormPtr bias = tune::MakeBiasForm(session, *layer, bias_rate))
        made.push_back(std::move(bias));
    }
    if (!others) return made;
    for (tune::FormPtr& form : others(block)) made.push_back(std::move(form));
    return made;
  };
  if (params.String("start") == "optimal") {
    options.start = StartOptions(options);
    const layers::SolveLayer solve = OptimalSolver(kOptimalEffort, &options.start);
    // Codes that made up for one clipping of activations would not fit another.
    if (options.activations)
      RETURN_IF_ERROR(layers::SolveLayers(session, options.start, solve).status());
    else
      options.solve = solve;
  }
  return tune::TuneBlocks(session, options, forms);
}

Result<Outcome> LearnWeights(Session& session, const recipe::Params& params,
                             const tune::TuneOptions& options,
                             const tune::RoundingSettings& settings, double way) {
  return LearnForms(session, params, options,
                    [&](const std::string& weight, const quant::Encoding& start,
                        const graph::WeightedLayer* layer, int64_t iterations) {
                      const graph::Graph& graph = *session.model.graph;
                      tune::RoundingSettings own = settings;
                      if (own.rate <= 0) own.rate = way / static_cast<double>(iterations);
                      if (layer) SetAxes(*layer, graph.Constant(weight)->shape(), &own);
                      return tune::MakeRoundingForm(weight, *graph.Constant(weight), start, own);
                    });
}

}  // namespace roundel::passes
