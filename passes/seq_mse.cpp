// Sequential MSE: the range of each weight channel (or block, or tensor) is the one among
// `candidates` shares of its full range, k/candidates for k = 1 ... candidates, that gives the
// least squared error of the layer's output. Layers are visited in order; rounding is to nearest.
//
//   error = E ((w^ - w) . x)^2 = (w^ - w)^T H (w^ - w),   H = E x x^T
//
// so that one sweep over the data replaces the 2 x candidates forward passes of each layer that the
// usual form takes (the technique is that of AIMET). `inputs` says what x and the target are:
//
//   symqt   both sides see the input that the model quantized so far gives (default)
//   symfp   both sides see the float model's input
//   asym    the rounded weights see the quantized input, the target is the float model's output
//
// `loss`: mse as above; sqnr, the output's power over the error, is greatest where mse is least, channel
// by channel, and is here for recipes that name it; l1, the mean absolute error, is taken from the columns
// themselves (absolute_error.h) at the cost of 2 candidates m n N.
//
// Blocks are judged one by one. Codes and scales are frozen; the bias stays unless asked for.
// Cost: one sweep, N n^2 + 2 candidates m n^2 a layer.

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
  options.solve.problem = {.asymmetric = inputs == "asym", .ridge_min = 0, .ridge_max = 0};
  // The least ridge that keeps the float target defined.
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
  const recipe::ParamSpecs params = {{.name = "candidates",
                                      .default_value = int64_t{20},
                                      .help = "shares of the full range that are tried",
                                      .min = 1,
                                      .max = 1000},
                                     {.name = "inputs",
                                      .default_value = std::string("symqt"),
                                      .help = "what the two sides of the error see",
                                      .choices = {"symqt", "symfp", "asym"}},
                                     {.name = "loss",
                                      .default_value = std::string("mse"),
                                      .help = "what is least at the chosen range",
                                      .choices = {"mse", "l1", "sqnr"}}};
  return LayerwisePass(
      "seq_mse",
      "ranges of weights for the least error of each layer's output, rounding to nearest", false,
      params, Run);
}

}  // namespace roundel::passes
