#pragma once
// What the passes that choose the codes of weights have in common: parameters and their meaning.

#include <string>

#include "lib/layers/layerwise.h"
#include "passes/pass.h"

namespace roundel::passes {

using layers::LayerwiseOptions;

// Parameter `sequential`, whether a layer's input is what the model quantized so far gives it.
recipe::ParamSpec SequentialParam();

// Such a pass: `params` behind those that all of them have, one of which is whether the bias takes
// up the mean error by default.
PassInfo LayerwisePass(const std::string& name, const std::string& summary, bool correct_bias,
                       const recipe::ParamSpecs& params,
                       Result<Outcome> (*run)(Session&, const recipe::Params&));
// What the common parameters say.
layers::LayerwiseOptions ReadLayerwise(const std::string& pass, const recipe::Params& params);

}  // namespace roundel::passes
