// GPTQ (Frantar et al., 2023): weights are rounded column by column, and what the rounding of one
// column does to the layer's output is made up for by the columns not yet rounded.
//
//   H = E x x^T over the calibration data, x the layer's input in the model as quantized so far
//   for column j in order:  q_j = nearest(v_j),  v_k -= (v_j - q_j) U_jk / U_jj  for k > j,
//                           U the Cholesky factor of the inverse of H + damping * diag(H)
//
// computed in the equal form of LDLQ (solver/ldlq.h), which needs no inverse. As published, the
// target is the output W x of the same inputs, scales are those that calibrate chose and static,
// also with order: activation ("act-order": inputs of high energy first), and the bias stays. With
// target: float the output of the float model is aimed at instead, which repairs part of what
// earlier layers left (GPTAQ, Qronos); scales: searched chooses them by the error that is reached.
//
// Scales and codes are frozen. Cost: one sweep, N n^2 + n^3/3 + m n^2 a layer.

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
       .help = "added to the diagonal of H, in shares of it",
       .min = 0,
       .max = 10},
      {.name = "order",
       .default_value = std::string("activation"),
       .help = "in which columns are rounded; activation: falling energy of the input",
       .choices = {"natural", "activation", "reversed"}},
      {.name = "scales",
       .default_value = std::string("calibrated"),
       .help = "calibrated: as calibrate chose them; searched: by the error reached",
       .choices = {"calibrated", "searched"}},
      {.name = "target",
       .default_value = std::string("quantized"),
       .help = "output aimed at: of the same inputs, or of the float model",
       .choices = {"quantized", "float"}}};
  return LayerwisePass("gptq", "rounds weights column by column, making up for the error so far",
                       false, params, Run);
}

}  // namespace roundel::passes
