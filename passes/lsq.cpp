// Learns step sizes of weights and activations together with the float weights: quantization-aware
// training of a plain ONNX file, without labels.
//
//   w^ = FakeQuant(w; s, z)     x^ = FakeQuant(x; s, z)     loss: outputs against the float model
//
// Rounding is passed straight through (lib/ops/kernels/fake_quant.cpp has the gradients). Learned are
// w, the scales s of weights and activations (LSQ), the zero points z of asymmetric grids (LSQ+), and
// biases. By default the whole network is one block, so that a step runs a mini-batch from end to
// end; with `max_layers: 0` residual blocks are learned one after the other, on what each receives
// from the quantized ones before it. The loss is the divergence from the float model's distribution
// over classes, or the squared error where outputs are not scores of classes.
//
// Learning starts at the codes that weights have, else as `start` says; w starts in the cell of its
// code. Rates decay by a cosine. The result is the point
// with the least loss on samples held out from learning, with zero points and codes rounded: the
// start, if nothing was better. New codes, scales and zero points are kept, the float weights are
// not.
//
// By `optimizer: adam` rates are relative to scales. `momentum` is the published rule: w and s by
// gradient descent with momentum 0.9, the gradient of s with the factor 1 / sqrt(n * qmax), n the
// number of weights that share it; biases and ranges still use Adam.
//
// Sources: Esser et al. 2020 (LSQ), Bhalgat et al. 2020 (LSQ+). Differences: LSQ trains with labels
// for 90 epochs of ImageNet, and starts s at 2 mean|w| / sqrt(qmax).
// Cost: an iteration is a forward and a backward pass of a mini-batch, about three and a half times
// the forward pass. Results: docs/distillation.md.

#include "lib/tune/step_form.h"
#include "passes/block_pass.h"

namespace roundel::passes {
namespace {

Result<Outcome> Run(Session& session, const recipe::Params& params) {
  tune::TuneOptions options = ReadEndToEndOptions(session, "lsq", params);
  options.train.refine = false;
  const bool adam = params.String("optimizer") == "adam";
  const double rate = params.Float("rate");
  const tune::StepSettings settings = {.rule = adam ? tune::Rule::kAdam : tune::Rule::kMomentum,
                                       .rate = rate > 0 ? rate
                                               : adam   ? 2e-2
                                                        : 1e-2,
                                       .scale_rate = params.Float("scale_rate"),
                                       .offset_rate = params.Float("offset_rate")};
  return LearnForms(session, params, options,
                    [&](const std::string& weight, const quant::Encoding& start,
                        const graph::WeightedLayer*, int64_t) {
                      return tune::MakeStepForm(weight, *session.model.graph->Constant(weight),
                                                start, settings);
                    });
}

}  // namespace

PassInfo lsq_pass() {
  recipe::ParamSpecs params = EndToEndParams();
  params.push_back({.name = "optimizer",
                    .default_value = std::string("adam"),
                    .help = "of weights and their scales: adam, with rates relative to scales; or "
                            "momentum, as LSQ is published",
                    .choices = {"adam", "momentum"}});
  params.push_back(
      {.name = "rate",
       .default_value = 0.0,
       .help = "learning rate of weights; 0 = 0.02 (adam, in steps) or 0.01 (momentum)",
       .min = 0,
       .max = 10});
  return BlockPass("lsq", "learns weights with their step sizes, end to end, without labels",
                   {.iterations = 2000, .drop = 0, .max_layers = kWholeNetwork}, params, Run);
}

}  // namespace roundel::passes
