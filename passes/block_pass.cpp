#include "passes/block_pass.h"

#include "lib/base/text.h"

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
       .default_value = 0.125,
       .help = "share of the samples that is kept apart to judge results; 0 = judge on all",
       .min = 0,
       .max = 0.5},
      {
          .name = "mirror",
          .default_value = false,
          .help = "use every image a second time, mirrored left to right",
      },
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

// A weight without codes starts at the nearest ones.
void EnsureCodes(Session& session) {
  for (auto& [value, encoding] : session.encodings) {
    const Tensor* weight = session.model.graph->Constant(value);
    if (encoding.role != quant::Role::kWeight || encoding.codes || !weight ||
        weight->dtype() != DType::kFloat || !encoding.grid.is_uniform())
      continue;
    encoding.codes = quant::QuantizeTensor(*weight, encoding);
    encoding.frozen = true;
  }
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
  options.mirror = params.Bool("mirror");
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
                             const tune::TuneOptions& options,
                             const tune::RoundingSettings& settings, double way) {
  EnsureCodes(session);
  const graph::Graph& graph = *session.model.graph;
  const auto forms = [&](const structure::Block& block, const std::vector<size_t>& layers,
                         int64_t iterations) -> Result<std::vector<tune::FormPtr>> {
    std::vector<tune::FormPtr> made;
    for (const size_t k : layers) {
      const std::string& weight = block.weights[k];
      std::string why;
      const auto layer = graph::MatchLayer(graph, graph.nodes()[block.layers[k]].get(), &why);
      tune::RoundingSettings own = settings;
      if (own.rate <= 0) own.rate = way / static_cast<double>(iterations);
      if (layer) SetAxes(*layer, graph.Constant(weight)->shape(), &own);
      made.push_back(tune::MakeRoundingForm(weight, *graph.Constant(weight),
                                            session.encodings.at(weight), own));
      if (!layer || params.Float("bias_rate") <= 0) continue;
      if (tune::FormPtr bias = tune::MakeBiasForm(session, *layer, params.Float("bias_rate")))
        made.push_back(std::move(bias));
    }
    return made;
  };
  return tune::TuneBlocks(session, options, forms);
}

}  // namespace roundel::passes
