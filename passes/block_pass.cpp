#include "passes/block_pass.h"

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
       .default_value = int64_t{0},
       .help = "layers of a block; 0 = those that one residual connection spans",
       .min = 0},
      {.name = "memory",
       .default_value = int64_t{2000},
       .help = "memory for stored activations, which otherwise go to a temporary file",
       .min = 1,
       .unit = "MB"},
  };
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
  options.range_rate = params.Float("range_rate");
  if (options.activations) options.train.drop = params.Float("drop");
  return options;
}

Result<Outcome> LearnWeights(Session& session, const recipe::Params& params,
                             tune::TuneOptions options, const tune::RoundingSettings& settings,
                             double way) {
  const auto forms = [&](const structure::Block& block, const std::vector<size_t>& layers,
                         int64_t iterations) -> Result<std::vector<tune::FormPtr>> {
    const graph::Graph& graph = *session.model.graph;
    std::vector<tune::FormPtr> made;
    for (const size_t k : layers) {
      const std::string& weight = block.weights[k];
      std::string why;
      const auto layer = graph::MatchLayer(graph, graph.nodes()[block.layers[k]].get(), &why);
      tune::RoundingSettings own = settings;
      if (own.rate <= 0) own.rate = way / static_cast<double>(iterations);
      if (layer) SetAxes(*layer, graph.Constant(weight)->shape(), &own);
      made.push_back(
          tune::MakeRoundingForm(weight, *graph.Constant(weight), StartOf(session, weight), own));
      if (!layer || params.Float("bias_rate") <= 0) continue;
      if (tune::FormPtr bias = tune::MakeBiasForm(session, *layer, params.Float("bias_rate")))
        made.push_back(std::move(bias));
    }
    return made;
  };
  if (params.String("start") == "optimal") {
    options.start = StartOptions(options);
    const layers::SolveLayer solve = OptimalSolver(2, &options.start);
    // Codes that made up for one clipping of activations would not fit another.
    if (options.activations)
      RETURN_IF_ERROR(layers::SolveLayers(session, options.start, solve).status());
    else
      options.solve = solve;
  }
  return tune::TuneBlocks(session, options, forms);
}

}  // namespace roundel::passes
