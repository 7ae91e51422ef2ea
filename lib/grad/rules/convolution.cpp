// Conv, ConvTranspose, pooling, and BatchNormalization with frozen statistics.

#include <algorithm>

#include "lib/base/text.h"
#include "lib/grad/rules.h"

namespace roundel::grad {
namespace {

Status Conv(Emitter& emit) {
  const std::string &x = emit.input(0), &w = emit.input(1);
  if (emit.wants(0)) emit.Add(0, emit.Own("ConvGradInput", {emit.dy(), w, x}));
  if (emit.wants(1)) emit.Add(1, emit.Own("ConvGradWeight", {emit.dy(), x, w}));
  if (emit.wants(2)) emit.Add(2, emit.Own("ChannelSum", {emit.dy()}));
  return OkStatus();
}

// Whether a convolution of dy with the same attributes has the size of x: paddings are given, and the
// output has no more elements than the strides explain.
bool IsConvolutionBackwards(const graph::Node& node) {
  const std::string pad = node.String("auto_pad", "NOTSET");
  const std::vector<int64_t> extra = node.Ints("output_padding");
  const std::vector<int64_t> strides = node.Ints("strides", std::vector<int64_t>(extra.size(), 1));
  if ((pad != "NOTSET" && pad != "VALID") || node.FindAttribute("output_shape")) return false;
  if (pad == "VALID" && node.FindAttribute("pads")) return false;
  for (size_t i = 0; i < extra.size(); ++i)
    if (i >= strides.size() || extra[i] >= strides[i]) return false;
  return true;
}

// y[i * stride + tap] += x[i] * w[tap]: dx is a convolution of dy, and dw that of a convolution from
// dy to x.
Status ConvTranspose(Emitter& emit) {
  const std::string &x = emit.input(0), &w = emit.input(1);
  const bool convolution = IsConvolutionBackwards(emit.node());
  if (emit.wants(0) && convolution) {
    Emitter::Attributes attributes;
    for (const char* name : {"strides", "dilations", "pads"})
      if (emit.node().FindAttribute(name)) attributes.emplace_back(name, emit.node().Ints(name));
    attributes.emplace_back("group", emit.node().Int("group", 1));
    emit.Add(0, emit.Op("Conv", {emit.dy(), w}, attributes));
  } else if (emit.wants(0)) {
    emit.Add(0, emit.Own("ConvTransposeGradInput", {emit.dy(), w, x}));
  }
  if (emit.wants(1))
    emit.Add(1, convolution ? emit.Own("ConvGradWeight", {x, emit.dy(), w})
                            : emit.Own("ConvTransposeGradWeight", {emit.dy(), x, w}));
  if (emit.wants(2)) emit.Add(2, emit.Own("ChannelSum", {emit.dy()}));
  return OkStatus();
}

Status Pool(Emitter& emit) {
  emit.Add(0, emit.Own(StrCat(emit.node().op_type, "Grad"), {emit.dy(), emit.input(0)}));
  return OkStatus();
}

// Statistics are constants: dx is the same normalization of dy, with neither mean nor bias.
Status BatchNormalization(Emitter& emit) {
  const std::string &gamma = emit.input(1), &mean = emit.input(3), &variance = emit.input(4);
  const auto epsilon = emit.node().Float("epsilon", 1e-5f);
  const std::string zeros = emit.FillLike(mean, 0);
  const auto normalized = [&](const std::string& x, const std::string& scale,
                              const std::string& center) {
    return emit.Op("BatchNormalization", {x, scale, zeros, center, variance},
                   {{"epsilon", epsilon}});
  };
  if (emit.wants(0)) emit.Add(0, normalized(emit.dy(), gamma, zeros));
  if (emit.wants(1)) {
    const std::string x = normalized(emit.input(0), emit.FillLike(gamma, 1), mean);
    emit.Add(1, emit.Own("ChannelSum", {emit.Op("Mul", {emit.dy(), x})}));
  }
  if (emit.wants(2)) emit.Add(2, emit.Own("ChannelSum", {emit.dy()}));
  return OkStatus();
}

std::string WhyNotBatchNormalization(const graph::Model& model, const graph::Node& node) {
  const int64_t opset = model.Opset();
  if (node.Int("training_mode", 0) != 0 || (opset < 14 && node.outputs.size() > 1) ||
      (opset < 7 && node.Int("is_test", 0) == 0))
    return "BatchNormalization computes statistics of the batch (training mode)";
  if (opset < 9 && node.Int("spatial", 1) == 0)
    return "BatchNormalization with a mean for each element has no gradient rule";
  return "";
}

}  // namespace

std::vector<RuleRow> ConvolutionRules() {
  return {
      {"AveragePool", "", kFirst, &Pool},
      {"BatchNormalization", "", kFirstThree, &BatchNormalization, &WhyNotBatchNormalization},
      {"Conv", "", kFirstThree, &Conv},
      {"ConvTranspose", "", kFirstThree, &ConvTranspose},
      {"GlobalAveragePool", "", kFirst, &Pool},
      {"GlobalMaxPool", "", kFirst, &Pool},
      {"MaxPool", "", kFirst, &Pool},
  };
}

}  // namespace roundel::grad
