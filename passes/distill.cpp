// Learns a quantized network end to end against the outputs of the float model (distillation),
// without labels: scales of weights, ranges of activations, biases, and what norms multiply and add.
//
//   loss = KL(softmax(float logits) || softmax(quantized logits))     or, of other outputs,
//          mean (y^ - y)^2 / mean y^2
//
// By default codes of weights stay as passes before have chosen them, so that few numbers are learned:
// a scale for each group of weights (EfficientQAT's second phase; the publishers of quantization-aware
// distillation train these alone, too), the scale and zero point of each quantized activation, a bias
// for each output channel, and every float constant with one value per channel. With `weights: true`
// the float weights are learned as well, as lsq does. More than that is learned from few samples only
// at the price of overfitting: results are judged on samples that are held out.
//
// `hidden` adds the squared errors of the results of residual blocks: gradients that reach early
// layers although late ones have few bits. Labels are not used. Blocks, acceptance and time as in
// block_reconstruction; `max_layers` cuts the network into blocks, of which the last has the loss of
// the outputs.
//
// Sources: Hinton et al. 2015 (distillation), Chen et al. 2024 (EfficientQAT, E2E-QP).
// Cost: an iteration is a forward and a backward pass of a mini-batch, about three and a half times
// the forward pass. Results: docs/distillation.md.

#include "lib/tune/constant_form.h"
#include "lib/tune/step_form.h"
#include "passes/block_pass.h"

namespace roundel::passes {
namespace {

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  tune::TuneOptions options = ReadEndToEndOptions(session, "distill", params);
  const bool weights = params.Bool("weights");
  options.train.codes = weights;
  options.train.refine = false;
  const tune::StepSettings steps = {.rate = params.Float("rate"),
                                    .scale_rate = params.Float("scale_rate"),
                                    .offset_rate = params.Float("offset_rate")};
  const tune::RoundingSettings scales = {.kind = tune::Rounding::kStraight,
                                         .scale_rate = params.Float("scale_rate")};
  const double gain_rate = params.Float("gain_rate");
  return LearnForms(
      session, params, options,
      [&](const std::string& weight, const quant::Encoding& start, const graph::WeightedLayer*,
          int64_t) {
        const Tensor& values = *session.model.graph->Constant(weight);
        return weights ? tune::MakeStepForm(weight, values, start, steps)
                       : tune::MakeRoundingForm(weight, values, start, scales);
      },
      [&](const structure::Block& block) {
        return gain_rate > 0 ? tune::ConstantForms(session, block, gain_rate)
                             : std::vector<tune::FormPtr>();
      });
}

}  // namespace

PassInfo distill_pass() {
  recipe::ParamSpecs params = EndToEndParams();
  params.push_back({.name = "weights",
                    .default_value = false,
                    .help = "learn all weights, too, as lsq does; codes stay otherwise"});
  params.push_back({.name = "rate",
                    .default_value = 5e-3,
                    .help = "learning rate of weights, in steps",
                    .min = 0,
                    .max = 10});
  params.push_back({.name = "gain_rate",
                    .default_value = 1e-3,
                    .help =
                        "learning rate of constants per channel, such as gains of norms, relative "
                        "to their size; 0 = they stay",
                    .min = 0,
                    .max = 1});
  return BlockPass("distill",
                   "learns scales, biases and norms end to end against the float model's outputs",
                   {.iterations = 500, .drop = 0, .max_layers = kWholeNetwork}, params, Run);
}

}  // namespace roundel::passes
