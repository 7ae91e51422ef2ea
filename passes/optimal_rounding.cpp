// Chooses the codes and scales of weights with the least error of each layer's output against the
// float model. This is the default pass for four bits and fewer.
//
// For each output channel o, over all calibration samples and positions, with x^ the layer's input
// in the model with all layers before it quantized, and y_o the output in the float model,
//
//   J(w^) = E (w^ . x^ + b - y_o)^2 = w^^T H w^ - 2 w^^T d_o + f_o
//
// H = E x^ x^T and d_o = E x^ y_o are gathered in one sweep (layer_walk.h). They are centered,
// because the bias is free and compensates the means. All further steps work on these sums:
//
//   target   w* = (H + l I)^-1 (d + l w): the best real weights, kept near the original ones by a
//            ridge l, which is the best of five on held-out samples
//   starts   rounding to nearest with the scale that is best for it; LDLQ (GPTQ) in several orders
//            with scales chosen for its result (solver/ldlq.h)
//   polish   moves of one code, moves of two codes, and the best scale for the codes, alternating
//   depthwise kernels: the best codes at the scale, proven by enumeration (solver/closest_vector.h)
//
// Each channel keeps the start with the best final error. A channel that is worse than rounding to
// nearest on the held-out samples is rounded to nearest. Later layers, whose target is the float
// model, repair part of the errors of earlier ones.
//
// Codes are frozen. The pass does nothing to layers with weights that have codes already. Weights
// of other ops (embeddings, recurrent layers) are rounded to nearest on their calibrated grid.
//
// Sources: Frantar et al. 2023 (GPTQ), Chee et al. 2023 (QuIP: LDLQ), Nagel et al. 2020 (AdaRound:
// the asymmetric target), Schnorr and Euchner 1994. Cost: two passes over the data, N n^2 for the
// sums of a layer with n inputs and N columns, and some m n^2 for its m outputs.

#include "lib/base/text.h"
#include "lib/solver/optimal.h"
#include "passes/layerwise_pass.h"

namespace roundel::passes {
namespace {

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  layers::LayerwiseOptions options = ReadLayerwise("optimal_rounding", params);
  return layers::SolveLayers(session, options, OptimalSolver(params.Int("effort"), &options));
}

}  // namespace

layers::SolveLayer OptimalSolver(int64_t effort, layers::LayerwiseOptions* options) {
  options->solve.ridges = {0.1, 0.3, 1, 3, 10};
  return [effort](layers::LayerTask& task) -> Result<solver::Solution> {
    solver::OptimalResult result = solver::Optimal(
        task.problems, task.layer.spec, {.effort = static_cast<int>(effort)}, task.held_out);
    if (result.kept_nearest > 0) task.note = StrCat(result.kept_nearest, " rows to nearest");
    if (result.proven > 0) task.note = StrCat(result.proven, " rows proven optimal");
    return std::move(result.solution);
  };
}

PassInfo optimal_rounding_pass() {
  const recipe::ParamSpecs params = {
      SequentialParam(),
      {.name = "effort",
       .default_value = kOptimalEffort,
       .help = "search effort; 1: one start, moves of single codes; 2: more starts, moves of two "
               "codes; 3: all starts, on large layers too",
       .min = 1,
       .max = 3}};
  return LayerwisePass(
      "optimal_rounding",
      "chooses codes and scales of weights for the least error of each layer's output", true,
      params, Run);
}

}  // namespace roundel::passes
