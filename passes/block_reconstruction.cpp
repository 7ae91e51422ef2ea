// Learns the codes of weights by gradients through blocks of several layers, so that errors of one
// layer make up for those of another.
//
// A block is what one residual connection spans (lib/structure). Its input x^ comes from the model
// with all blocks before it quantized, its target y from the float model:
//
//   loss = mean (block(x^; W^) - y)^2 / mean y^2
//
// W^ = scale * code depends on what is learned in one of two ways (lib/tune/form.h). Soft rounding
// (AdaRound) lets each weight lie between two codes and penalizes that more and more, so that at the
// end each has chosen. Straight rounding (AutoRound) rounds in every step and passes gradients
// through the rounding. Scales and biases are learned at the same time. With quantized activations
// their scales are learned, too, and half of the elements stay float in each step (QDrop), so that
// the weights do not adapt to one pattern of rounding.
//
// Learning starts at the codes that weights have, such as those of optimal_rounding, else at the
// nearest ones. The result of a block is the point with the least loss on samples that are held out
// from learning, with all weights on their codes: the start, if nothing was better. A block whose
// operators have no gradient is cut where the gradient ends. Embeddings and weights that several
// blocks share keep their codes.
//
// Sources: Li et al. 2021 (BRECQ), Nagel et al. 2020 (AdaRound), Cheng et al. 2023 (AutoRound), Wei
// et al. 2022 (QDrop). BRECQ publishes 20,000 iterations at rate 1e-3 from the nearest codes. What
// this pass gives today, and what it lacks: docs/block_reconstruction.md.
// Cost: about three passes of a mini-batch through the block per iteration.

#include "passes/block_pass.h"

namespace roundel::passes {
namespace {

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  tune::TuneOptions options = ReadBlockOptions(session, "block_reconstruction", params);
  options.train.penalty = params.Float("penalty");
  options.train.warm_up = params.Float("warm_up");
  const bool soft = params.String("rounding") != "straight";
  options.train.codes = params.String("rounding") != "none";
  // The way that roundings go in all is about the same for any number of iterations.
  const double way = soft ? 20 : 1;
  return LearnWeights(
      session, params, options,
      {.kind = soft ? tune::Rounding::kSoft : tune::Rounding::kStraight,
       .rule = params.String("optimizer") == "adam" ? tune::Rule::kAdam : tune::Rule::kSign,
       .rate = params.Float("rate"),
       .scale_rate = params.Float("scale_rate")},
      way);
}

}  // namespace

PassInfo block_reconstruction_pass() {
  return BlockPass(
      "block_reconstruction",
      "learns codes, scales and biases by gradients through blocks of layers", {},
      {{.name = "rounding",
        .default_value = std::string("soft"),
        .help = "soft: between two codes, with a penalty; straight: rounded in every step; none: "
                "codes stay, and only scales, biases and ranges are learned",
        .choices = {"soft", "straight", "none"}},
       {.name = "optimizer",
        .default_value = std::string("adam"),
        .help = "of roundings; sign needs no memory for its state",
        .choices = {"adam", "sign"}},
       {.name = "rate",
        .default_value = 0.0,
        .help = "learning rate of roundings; 0 = 20 (soft) or 1 (straight) / iterations",
        .min = 0,
        .max = 1},
       {.name = "penalty",
        .default_value = 1e4,
        .help = "weight of the penalty of soft rounding, relative to the loss at the start",
        .min = 0},
       {.name = "warm_up",
        .default_value = 0.1,
        .help = "share of the iterations without penalty",
        .min = 0,
        .max = 0.9}},
      Run);
}

}  // namespace roundel::passes
