#include "passes/layerwise_pass.h"

#include "lib/base/text.h"

namespace roundel::passes {
namespace {

recipe::ParamSpecs CommonParams(bool correct_bias) {
  return {
      {.name = "samples",
       .default_value = int64_t{0},
       .help = "number of calibration samples to use, in whole batches; 0 = all",
       .min = 0,
       .unit = "samples"},
      {.name = "columns_per_input",
       .default_value = int64_t{256},
       .help = "columns of the layer's unfolded input to use, per input of the layer",
       .min = 1,
       .max = 1e6},
      {.name = "held_out",
       .default_value = 0.2,
       .help = "share of the samples that is kept apart to judge solutions; 0 = none",
       .min = 0,
       .max = 0.5},
      {.name = "correct_bias",
       .default_value = correct_bias,
       .help = "change the bias to cancel the mean error of the layer's output"},
      {.name = "memory",
       .default_value = int64_t{1500},
       .help = "memory for stored activations, which otherwise go to a temporary file, and for "
               "solving one layer, which otherwise uses fewer columns or rounds to nearest",
       .min = 1,
       .unit = "MB"},
  };
}

}  // namespace

recipe::ParamSpec SequentialParam() {
  return {.name = "sequential",
          .default_value = true,
          .help =
              "true: the input of a layer comes from the model with all layers before it "
              "quantized; false: from the float model"};
}

PassInfo LayerwisePass(const std::string& name, const std::string& summary, bool correct_bias,
                       const recipe::ParamSpecs& params,
                       Result<Outcome> (*run)(Session&, const recipe::Params&)) {
  PassInfo info{.name = name,
                .summary = summary,
                .params = CommonParams(correct_bias),
                .needs_data = true,
                .needs_grids = true,
                .rounds_weights = true,
                .run = run};
  info.params.insert(info.params.end(), params.begin(), params.end());
  return info;
}

layers::LayerwiseOptions ReadLayerwise(const std::string& pass, const recipe::Params& params) {
  layers::LayerwiseOptions options{.pass = pass};
  options.samples = params.Int("samples");
  options.memory_bytes = params.Int("memory") * 1000000;
  options.memory_is_given = !params.IsDefault("memory");
  options.statistics.columns_per_input = params.Int("columns_per_input");
  options.statistics.held_out = params.Float("held_out");
  options.solve.free_bias = params.Bool("correct_bias");
  if (params.values().contains("sequential"))
    options.statistics.reference_inputs = !params.Bool("sequential");
  options.settings = pass;
  for (const auto& [name, value] : params.values())
    if (name != "memory") options.settings += StrCat(" ", name, "=", recipe::ParamValueText(value));
  return options;
}

}  // namespace roundel::passes
