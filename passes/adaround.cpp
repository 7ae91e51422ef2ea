// AdaRound (Nagel et al., 2020): whether each weight is rounded down or up is learnt.
//
//   w^ = s * clamp(floor(w/s) + h(V), qmin, qmax),  h(V) = clamp(1.2 sigmoid(V) - 0.1, 0, 1)
//   loss = E ||y(w^) - y||^2 + lambda * sum (1 - |2 h(V) - 1|^beta)
//
// V starts where w^ = w. For the first share of the iterations (warm_start) the second term is left
// out; then beta falls from beta_start to beta_end along a cosine and drives every h to 0 or 1.
// Layers are visited in order; x is what the model quantized so far gives, y the float model's
// output, as published. Scales are those of calibrate, or chosen beforehand as in seq_mse.
//
//   objective: gram     the mean over all samples at once, from second-order sums
//   (solver/adaround.h):
//                       no data during the iterations; a following activation is not seen
//   objective: sampled  mini-batches of columns drawn from all samples, with a Relu or Clip behind
//   the
//                       layer inside of the loss, as in the paper
//
// Codes and scales are frozen. Cost: one sweep; 2 m n^2 (gram) or 6 m n `batch` (sampled) for each
// iteration.

#include "lib/solver/adaround.h"

#include "lib/base/interrupt.h"
#include "lib/layers/adaround_samples.h"
#include "lib/solver/scales.h"
#include "passes/layerwise_pass.h"

namespace roundel::passes {
namespace {

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  layers::LayerwiseOptions options = ReadLayerwise("adaround", params);
  solver::AdaRoundOptions learn;
  learn.iterations = static_cast<int>(params.Int("iterations"));
  learn.learning_rate = params.Float("learning_rate");
  learn.lambda = params.Float("lambda");
  learn.warm_start = params.Float("warm_start");
  learn.beta_start = params.Float("beta_start");
  learn.beta_end = params.Float("beta_end");
  const bool sampled = params.String("objective") == "sampled";
  options.needs_inputs = sampled;
  const bool search = params.String("scales") == "seq_mse";
  const int64_t batch = params.Int("batch");
  return layers::SolveLayers(
      session, options, [&](layers::LayerTask& task) -> Result<solver::Solution> {
        const solver::GridSpec& spec = task.layer.spec;
        const solver::Params scales =
            search ? solver::SeqMseScales(task.problems, spec) : task.params;
        if (sampled && !task.layer.transposed())
          return layers::AdaRoundOnSamples(session, task, scales, learn, batch);
        solver::Solution solution = solver::AdaRound(task.problems, spec, scales, learn);
        if (Interrupted()) return InterruptedError();
        return solution;
      });
}

}  // namespace

PassInfo adaround_pass() {
  const recipe::ParamSpecs params = {
      SequentialParam(),
      {.name = "objective",
       .default_value = std::string("gram"),
       .help = "gram: the mean over all samples; sampled: mini-batches, with the activation",
       .choices = {"gram", "sampled"}},
      {.name = "iterations",
       .default_value = int64_t{10000},
       .help = "steps a layer",
       .min = 1,
       .max = 1e7},
      {.name = "learning_rate", .default_value = 1e-2, .help = "of Adam", .min = 1e-6, .max = 1},
      {.name = "lambda",
       .default_value = 0.01,
       .help = "weight of the regulariser",
       .min = 0,
       .max = 10},
      {.name = "warm_start",
       .default_value = 0.2,
       .help = "share of the iterations without regulariser",
       .min = 0,
       .max = 0.95},
      {.name = "beta_start",
       .default_value = 20.0,
       .help = "of the regulariser's exponent",
       .min = 1,
       .max = 100},
      {.name = "beta_end",
       .default_value = 2.0,
       .help = "of the regulariser's exponent",
       .min = 1,
       .max = 100},
      {.name = "batch",
       .default_value = int64_t{1024},
       .help = "columns of a mini-batch (sampled)",
       .min = 1,
       .max = 1e6},
      {.name = "scales",
       .default_value = std::string("calibrated"),
       .help = "calibrated: as calibrate chose them; seq_mse: for the least error by nearest",
       .choices = {"calibrated", "seq_mse"}}};
  return LayerwisePass("adaround", "learns whether each weight is rounded down or up", true, params,
                       Run);
}

}  // namespace roundel::passes
