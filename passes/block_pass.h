#pragma once
// The common parts of passes that learn by gradients through blocks.

#include <string>

#include "lib/tune/tune_blocks.h"
#include "passes/pass.h"

namespace roundel::passes {

// Declares such a pass: the common parameters, whose defaults are those of `defaults`, then `params`.
struct BlockDefaults {
  int64_t iterations = 1000, batch = 32;
  double scale_rate = 1e-3, bias_rate = 3e-3, range_rate = 1e-3, drop = 0.5;
};
PassInfo BlockPass(const std::string& name, const std::string& summary,
                   const BlockDefaults& defaults, const recipe::ParamSpecs& params,
                   Result<Outcome> (*run)(Session&, const recipe::Params&));

// Reads the common parameters. Activations are part of blocks if they have static grids.
tune::TuneOptions ReadBlockOptions(const Session& session, const std::string& pass,
                                   const recipe::Params& params);

// Learns roundings of all weights by `settings`, and biases. Weights without codes start as
// `start` says. `way`: if settings.rate is 0, the rate is way / iterations.
Result<Outcome> LearnWeights(Session& session, const recipe::Params& params,
                             tune::TuneOptions options, const tune::RoundingSettings& settings,
                             double way = 0);

}  // namespace roundel::passes
