// Sequential MSE (the technique is that of AIMET): chooses the range of each weight channel (or
// block, or tensor) among k/candidates of its full range, k = 1 ... candidates: the one with the
// least squared error of the layer's output. Layers are visited in order. Weights are rounded to
// nearest.
//
//   error = E ((w^ - w) . x)^2 = (w^ - w)^T H (w^ - w),   H = E x x^T
//
// With H, one sweep over the data replaces the 2 x candidates forward passes per layer of the usual
// form. `inputs` selects x and the target:
//
//   symqt   both sides have the input of the model with all layers before it quantized (default)
//   symfp   both sides have the float model's input
//   asym    the rounded weights have the quantized input; the target is the float model's output
//
// `loss`: mse as above. sqnr, the power of the output over that of the error, has its maximum where
// mse has its minimum, channel by channel; it exists for recipes that name it. l1, the mean
// absolute error, is computed from the columns themselves (absolute_error.h) at the cost of 2
// candidates m n N.
//
// Each block is judged by itself. Codes and scales are frozen. The bias changes only if requested.
// Cost: one sweep, N n^2 + 2 candidates m n^2 per layer with N columns, n inputs and m outputs.

#include "lib/layers/absolute_error.h"
#include "lib/session/session.h"
#include "lib/solver/nearest.h"
#include "lib/solver/scales.h"
#include "passes/layerwise_pass.h"

namespace roundel::passes {
namespace {

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  layers::LayerwiseOptions options = ReadLayerwise("seq_mse", params);
  const std::string& inputs = params.String("inputs");
  options.statistics.reference_inputs = inputs == "symfp";
  options.independent = "inputs=symfp";
  options.solve.problem = {.asymmetric = inputs == "asym", .ridge_min = 0, .ridge_max = 0};
  // The smallest ridge for which the float target is defined.
  if (inputs == "asym") options.solve.problem.ridge_min = 0.01, options.solve.problem.ridge_max = 1;
  const int candidates = static_cast<int>(params.Int("candidates"));
  const bool absolute = params.String("loss") == "l1";
  options.needs_inputs = absolute;
  options.statistics.seed = SeedOf(session);
  return layers::SolveLayers(
      session, options, [&](layers::LayerTask& task) -> Result<solver::Solution> {
        const solver::GridSpec& spec = task.layer.spec;
        if (!absolute || task.layer.transposed())
          return solver::RoundNearest(task.problems, spec,
                                      solver::SeqMseScales(task.problems, spec, candidates));
        ASSIGN_OR_RETURN(
            const solver::Params scales,
            layers::LeastAbsoluteError(task, options.statistics, inputs == "asym", candidates));
        return solver::RoundNearest(task.problems, spec, scales);
      });
}

}  // namespace

PassInfo seq_mse_pass() {
  const recipe::ParamSpecs params = {
      {.name = "candidates",
       .default_value = int64_t{20},
       .help = "number of ranges to try for each scale: k/candidates of the full range",
       .min = 1,
       .max = 1000},
      {.name = "inputs",
       .default_value = std::string("symqt"),
       .help = "where the layer input in the error comes from; symqt: the quantized model; symfp: "
               "the float model; asym: the quantized model for the rounded weights, the float "
               "model for the target",
       .choices = {"symqt", "symfp", "asym"}},
      {.name = "loss",
       .default_value = std::string("mse"),
       .help = "error of the layer's output to minimize",
       .choices = {"mse", "l1", "sqnr"}}};
  return LayerwisePass(
      "seq_mse",
      "chooses weight ranges for the least error of each layer's output, with rounding to nearest",
      false, params, Run);
}

}  // namespace roundel::passes
