// Layers that ONNX Runtime computes in floats beside static grids: LSTM, GRU, RNN and the fused
// Attention. Their weights are stored as codes, and those with a form of their own quantize at run
// time; what the runtime computes is what this engine computes.

#include <cmath>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/io/onnx.h"
#include "lib/targets/export.h"
#include "tests/e2e/calibrated.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"

namespace roundel {
namespace {

struct Case {
  const char* name;
  const char* text;
  const char* dynamic_op;  // nullptr: it has none, its weights are dequantized
};

// x [7, 2, 12]
const Case kCases[] = {
    {"LSTM, both directions", R"(opset 14 graph g (float32[7,2,12] x) => (? y) {
  float32[2,64,12] w = random(1, -0.4, 0.4)
  float32[2,64,16] r = random(2, -0.4, 0.4)
  float32[2,128] b = random(3, -0.2, 0.2)
  y, h, c = LSTM<hidden_size=16, direction="bidirectional">(x, w, r, b)
})",
     "DynamicQuantizeLSTM"},
    {"LSTM, last state only", R"(opset 14 graph g (float32[7,2,12] x) => (? y) {
  float32[1,64,12] w = random(1, -0.4, 0.4)
  float32[1,64,16] r = random(2, -0.4, 0.4)
  float32[1,2,16] h0 = random(4, -0.2, 0.2)
  float32[1,2,16] c0 = random(5, -0.2, 0.2)
  "", y = LSTM<hidden_size=16, direction="reverse">(x, w, r, "", "", h0, c0)
})",
     "DynamicQuantizeLSTM"},
    {"GRU", R"(opset 14 graph g (float32[7,2,12] x) => (? y) {
  float32[1,48,12] w = random(1, -0.4, 0.4)
  float32[1,48,16] r = random(2, -0.4, 0.4)
  float32[1,96] b = random(3, -0.2, 0.2)
  a, h = GRU<hidden_size=16, linear_before_reset=1>(x, w, r, b)
  f = Squeeze(a, one)
  int64[1] one = {1}
  y, h2 = GRU<hidden_size=16>(f, v, u)
  float32[1,48,16] v = random(4, -0.4, 0.4)
  float32[1,48,16] u = random(5, -0.4, 0.4)
})",
     nullptr},
    {"RNN", R"(opset 14 graph g (float32[7,2,12] x) => (? y) {
  float32[2,16,12] w = random(1, -0.4, 0.4)
  float32[2,16,16] r = random(2, -0.4, 0.4)
  y, h = RNN<hidden_size=16, direction="bidirectional">(x, w, r)
})",
     nullptr},
    {"Attention", R"(opset 17, com.microsoft 1 graph g (float32[7,2,12] x) => (? y) {
  float32[12,36] w = random(1, -0.4, 0.4)
  float32[36] b = random(3, -0.2, 0.2)
  y = com.microsoft.Attention<num_heads=3, unidirectional=1>(x, w, b)
})",
     "QAttention"},
};

struct Mode {
  const char* name;
  target::ActivationMode mode;
  int bits;
  int64_t block;
  double size;  // of the float weights, at most
};
const Mode kModes[] = {{"dynamic", target::ActivationMode::kDynamic, 8, 0, 0.5},
                       {"weights, 8 bits", target::ActivationMode::kFloat, 8, 0, 0.5},
                       {"weights, 4 bits", target::ActivationMode::kFloat, 4, 0, 0.4},
                       {"weights, blocks", target::ActivationMode::kFloat, 4, 4, 0.6}};

double RelativeError(const Tensor& ours, const Tensor& theirs) {
  REQUIRE(ours.shape() == theirs.shape());
  double error = 0, power = 1e-30;
  for (int64_t k = 0; k < ours.size(); ++k) {
    const double a = ours.data<float>()[k], b = theirs.data<float>()[k];
    error += (a - b) * (a - b);
    power += b * b;
  }
  return std::sqrt(error / power);
}

int64_t WeightBytes(const graph::Model& model) {
  int64_t bytes = 0;
  for (const graph::Initializer& initializer : model.graph->initializers())
    bytes += initializer.value.byte_size();
  return bytes;
}

void CheckCase(const Case& test, const Mode& mode) {
  INFO(test.name << ", " << mode.name);
  const Shape shape = {7, 2, 12};
  const auto session =
      e2e::Calibrated(test.text, shape, "ort-cpu", [&](target::GridChoice& choice) {
        choice.mode = mode.mode;
        choice.weights.bits = mode.bits;
        if (mode.block == 0) return;
        choice.weight_granularity = quant::Granularity::kBlock;
        choice.block_size = mode.block;
      });
  const bool is_dynamic = mode.mode == target::ActivationMode::kDynamic && test.dynamic_op;
  CHECK(session->placement->dynamic_layers.size() == (is_dynamic ? 1 : 0));
  const auto exported = target::Export(session->model, session->encodings,
                                       {.dynamic_layers = session->placement->dynamic_layers});
  INFO((exported.ok() ? "" : exported.status().message()));
  REQUIRE(exported.ok());
  int64_t found = 0;
  for (const graph::NodePtr& node : exported->graph->nodes())
    found += is_dynamic && node->op_type == test.dynamic_op;
  CHECK(found == (is_dynamic ? 1 : 0));
  CHECK(static_cast<double>(WeightBytes(*exported)) <
        mode.size * static_cast<double>(WeightBytes(session->model)));
  const e2e::ScratchFolder scratch("float_layers");
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(*exported, file).ok());
  Random random(3);
  const Tensor x = support::RandomTensor(shape, random, 1.0);
  const auto theirs =
      e2e::RunOrt({{file, true, {{"x", x}}}, {file, false, {{"x", x}}}}, scratch.path());
  INFO((theirs.ok() ? "" : theirs.status().message()));
  REQUIRE(theirs.ok());
  auto of_export = engine::Executor::Create(*exported);
  auto of_float = engine::Executor::Create(session->model);
  auto simulated = engine::Executor::Create(session->model, {.simulate = &session->encodings});
  REQUIRE(of_export.ok());
  const Tensor floats = (*of_float)->Run({x}).value()[0];
  for (const auto& outputs : *theirs) {
    CHECK(RelativeError((*of_export)->Run({x}).value()[0], outputs[0]) < 1e-3);
    if (!is_dynamic) CHECK(RelativeError((*simulated)->Run({x}).value()[0], outputs[0]) < 1e-3);
    const double of_quantization = RelativeError(outputs[0], floats);
    CHECK(of_quantization < (mode.bits == 8 ? 0.03 : 0.2));
    CHECK(of_quantization > 1e-4);
  }
}

TEST_CASE("recurrent layers and fused attention run with weights as codes in ONNX Runtime") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Case& test : kCases)
    for (const Mode& mode : kModes)
      // Layers without a form that quantizes at run time stay float there.
      if (test.dynamic_op || mode.mode != target::ActivationMode::kDynamic) CheckCase(test, mode);
}

}  // namespace
}  // namespace roundel
