// AdaRound (Nagel et al., 2020): learns whether each weight is rounded down or up.
//
//   w^ = s * clamp(floor(w/s) + h(V), qmin, qmax),  h(V) = clamp(1.2 sigmoid(V) - 0.1, 0, 1)
//   loss = E ||y(w^) - y||^2 + lambda * sum (1 - |2 h(V) - 1|^beta)
//
// V starts where w^ = w. The first share of the iterations (warm_start) omits the second term. Then
// beta falls from beta_start to beta_end along a cosine and drives every h to 0 or 1. As in the
// paper, layers are visited in order, x comes from the model with all layers before it quantized,
// and y is the output of the float model. Scales are those of calibrate, or chosen beforehand as in
// seq_mse.
//
//   objective: gram     the mean over all samples, from the Gram matrix (solver/adaround.h): the
//                       iterations need no data; an activation function after the layer is ignored
//   objective: sampled  mini-batches of columns drawn from all samples; as in the paper, a Relu or
//                       Clip after the layer is inside the loss
//
// Codes and scales are frozen. Cost: one sweep; per iteration 2 m n^2 (gram) or 6 m n `batch`
// (sampled) for a layer with n inputs and m outputs.

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
       .help = "error to minimize; gram: the mean over all samples, from the Gram matrix; sampled: "
               "on mini-batches, after the activation function",
       .choices = {"gram", "sampled"}},
      {.name = "iterations",
       .default_value = int64_t{10000},
       .help = "optimizer steps per layer",
       .min = 1,
       .max = 1e7},
      {.name = "learning_rate",
       .default_value = 1e-2,
       .help = "learning rate of Adam",
       .min = 1e-6,
       .max = 1},
      {.name = "lambda",
       .default_value = 0.01,
       .help = "weight of the regularizer in the loss",
       .min = 0,
       .max = 10},
      {.name = "warm_start",
       .default_value = 0.2,
       .help = "share of the iterations, at the start, without the regularizer",
       .min = 0,
       .max = 0.95},
      {.name = "beta_start",
       .default_value = 20.0,
       .help = "exponent of the regularizer when it sets in",
       .min = 1,
       .max = 100},
      {.name = "beta_end",
       .default_value = 2.0,
       .help = "exponent of the regularizer at the last iteration",
       .min = 1,
       .max = 100},
      {.name = "batch",
       .default_value = int64_t{1024},
       .help = "columns per mini-batch (objective sampled)",
       .min = 1,
       .max = 1e6},
      {.name = "scales",
       .default_value = std::string("calibrated"),
       .help = "calibrated: the scales that calibrate chose; seq_mse: the scales with the least "
               "output error under rounding to nearest",
       .choices = {"calibrated", "seq_mse"}}};
  return LayerwisePass("adaround", "learns whether each weight is rounded down or up", true, params,
                       Run);
}

}  // namespace roundel::passes
