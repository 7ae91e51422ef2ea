#pragma once
// The common parts of passes that learn by gradients through blocks.

#include <functional>
#include <string>

#include "lib/graph/layer.h"
#include "lib/tune/tune_blocks.h"
#include "passes/pass.h"

namespace roundel::passes {

// Declares such a pass: the common parameters, whose defaults are those of `defaults`, then `params`.
struct BlockDefaults {
  int64_t iterations = 1000, batch = 32;
  double scale_rate = 1e-3, bias_rate = 3e-3, range_rate = 1e-3, drop = 0.5;
  int64_t max_layers = 0;
};
PassInfo BlockPass(const std::string& name, const std::string& summary,
                   const BlockDefaults& defaults, const recipe::ParamSpecs& params,
                   Result<Outcome> (*run)(Session&, const recipe::Params&));

// Reads the common parameters. Activations are part of blocks if they have static grids.
tune::TuneOptions ReadBlockOptions(const Session& session, const std::string& pass,
                                   const recipe::Params& params);

// More layers than any network has: the whole network is one block.
inline constexpr int64_t kWholeNetwork = 100000;

// The parameters of passes that learn a network end to end, after the common ones.
recipe::ParamSpecs EndToEndParams();
// Reads them, and the common ones.
tune::TuneOptions ReadEndToEndOptions(const Session& session, const std::string& pass,
                                      const recipe::Params& params);

// A form for a layer's weight, which starts at the codes of `start`. `layer`: nullptr if its bias and
// channels are of no known kind.
using MakeWeightForm =
    std::function<tune::FormPtr(const std::string& weight, const quant::Encoding& start,
                                const graph::WeightedLayer* layer, int64_t iterations)>;
// More forms of a block, such as those of its norms.
using MakeOtherForms = std::function<std::vector<tune::FormPtr>(const structure::Block& block)>;
// Learns the forms of all weights, and biases. Weights without codes start as
// `start` says.
Result<Outcome> LearnForms(Session& session, const recipe::Params& params,
                           tune::TuneOptions options, const MakeWeightForm& weight_form,
                           const MakeOtherForms& others = nullptr);

// Learns roundings of all weights by `settings`, and biases. Weights without codes start as
// `start` says. `way`: if settings.rate is 0, the rate is way / iterations.
Result<Outcome> LearnWeights(Session& session, const recipe::Params& params,
                             const tune::TuneOptions& options,
                             const tune::RoundingSettings& settings, double way = 0);

}  // namespace roundel::passes
