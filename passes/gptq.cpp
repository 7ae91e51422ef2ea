// GPTQ (Frantar et al., 2023): rounds weights column by column. The columns that are not yet
// rounded compensate the effect of each rounding error on the layer's output.
//
//   H = E x x^T over the calibration set, x the layer's input in the model with all earlier layers
//       quantized
//   for column j in order:  q_j = nearest(v_j),  v_k -= (v_j - q_j) U_jk / U_jj  for k > j,
//                           U the Cholesky factor of the inverse of H + damping * diag(H)
//
// This is computed in the equivalent form of LDLQ (solver/ldlq.h), which needs no inverse. By
// default the pass follows the paper: the target is the output W x of the same inputs; scales are
// those of calibrate and do not change, also with order: activation ("act-order": inputs of high
// energy first); the bias does not change. With target: float the target is the output of the float
// model, so that a layer repairs part of the errors of earlier layers (GPTAQ, Qronos). With scales:
// searched the pass chooses the scales with the least error after rounding.
//
// Scales and codes are frozen. Cost: one sweep, N n^2 + n^3/3 + m n^2 per layer with N columns, n
// inputs and m outputs.

#include "lib/solver/ldlq.h"
#include "passes/layerwise_pass.h"

namespace roundel::passes {
namespace {

solver::Order OrderNamed(const std::string& name) {
  if (name == "natural") return solver::Order::kNatural;
  return name == "reversed" ? solver::Order::kReversed : solver::Order::kActivation;
}

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  layers::LayerwiseOptions options = ReadLayerwise("gptq", params);
  options.solve.problem.asymmetric = params.String("target") == "float";
  options.solve.problem.ridge_min = options.solve.problem.ridge_max = params.Float("damping");
  const solver::Order order = OrderNamed(params.String("order"));
  const bool search = params.String("scales") == "searched";
  return layers::SolveLayers(
      session, options, [&](layers::LayerTask& task) -> Result<solver::Solution> {
        const solver::GridSpec& spec = task.layer.spec;
        return search ? solver::LdlqWithScales(task.problems, spec, {.order = order})
                      : solver::Ldlq(task.problems, spec, task.params, {.order = order});
      });
}

}  // namespace

PassInfo gptq_pass() {
  const recipe::ParamSpecs params = {
      SequentialParam(),
      {.name = "damping",
       .default_value = 0.01,
       .help = "ridge added to the diagonal of H, as a share of that diagonal",
       .min = 0,
       .max = 10},
      {.name = "order",
       .default_value = std::string("activation"),
       .help = "order in which columns are rounded; activation: by falling energy of the input",
       .choices = {"natural", "activation", "reversed"}},
      {.name = "scales",
       .default_value = std::string("calibrated"),
       .help = "calibrated: the scales that calibrate chose; searched: the scales with the least "
               "error after rounding",
       .choices = {"calibrated", "searched"}},
      {.name = "target",
       .default_value = std::string("quantized"),
       .help = "output to approximate; quantized: that of the float weights on the quantized "
               "model's input; float: that of the float model",
       .choices = {"quantized", "float"}}};
  return LayerwisePass(
      "gptq", "rounds weights column by column and corrects each error in the columns that remain",
      false, params, Run);
}

}  // namespace roundel::passes
