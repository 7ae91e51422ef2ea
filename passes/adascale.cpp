// Learns factors of weights before rounding, by gradients through blocks (FlexRound, AdaScale).
//
//   code = clip(round(w / (scale exp(s2) exp(s3) exp(s4))))    w^ = scale * code
//
// with a factor for every element (s2), for every output channel (s3), and, of convolutions, for
// every input channel (s4), all 1 at the start; scale = start * exp(learned) clips. Rounding is
// passed straight through. The gradient of s2 grows with |w|, so that large weights move more than
// one step and small ones stay: this is what FlexRound adds to additive roundings.
//
// Learning starts at the codes that weights have; w is then moved into the cell of its code. The
// factors end in the codes, nothing of them is kept. Blocks, targets and acceptance as in
// block_reconstruction.
//
// Sources: Lee et al. 2023 (FlexRound), Qualcomm's AdaScale (published for decoder blocks and linear
// layers: rates 5e-4 for factors, 1e-3 for clipping, 1,500 iterations of one sequence). Any block,
// any width and convolutions here.

#include "passes/block_pass.h"

namespace roundel::passes {
namespace {

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  return LearnWeights(session, params, ReadBlockOptions(session, "adascale", params),
                      {.kind = tune::Rounding::kFlex,
                       .rate = params.Float("rate"),
                       .scale_rate = params.Float("scale_rate")});
}

}  // namespace

PassInfo adascale_pass() {
  return BlockPass("adascale",
                   "learns factors of weights before rounding, through blocks of layers",
                   {.scale_rate = 1e-3},
                   {{.name = "rate",
                     .default_value = 5e-4,
                     .help = "learning rate of the factors' logarithms",
                     .min = 0,
                     .max = 1}},
                   Run);
}

}  // namespace roundel::passes
