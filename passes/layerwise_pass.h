#pragma once
// The common parameters of passes that choose codes of weights.

#include <string>

#include "lib/layers/layerwise.h"
#include "passes/pass.h"

namespace roundel::passes {

using layers::LayerwiseOptions;

// The parameter `sequential`: layer inputs come from the model with earlier layers quantized.
recipe::ParamSpec SequentialParam();

// Declares such a pass: the common parameters, then `params`. `correct_bias`: the default of that
// common parameter.
PassInfo LayerwisePass(const std::string& name, const std::string& summary, bool correct_bias,
                       const recipe::ParamSpecs& params,
                       Result<Outcome> (*run)(Session&, const recipe::Params&));
// Reads the common parameters.
layers::LayerwiseOptions ReadLayerwise(const std::string& pass, const recipe::Params& params);

inline constexpr int64_t kOptimalEffort = 2;  // the default
// The solver of optimal_rounding, with its settings in `options`. `effort`: 1 to 3.
layers::SolveLayer OptimalSolver(int64_t effort, layers::LayerwiseOptions* options);

}  // namespace roundel::passes
