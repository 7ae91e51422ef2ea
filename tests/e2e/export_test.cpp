// Exported models in ONNX Runtime: every model loads, and its outputs equal the simulation within one
// output step on all but 1 % of the values.

#include <algorithm>
#include <cmath>

#include "lib/engine/executor.h"
#include "lib/io/onnx.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/qdq.h"
#include "tests/e2e/calibrated.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"

namespace roundel {
namespace {

struct Case {
  const char* name;
  const char* text;
  Shape input;
  const char* target = "ort-cpu";
  e2e::AdjustGrids adjust = {};
};

const Case kCases[] = {
    {"conv_relu_pool",
     R"(opset 13
        graph g (float32[N,3,16,16] x) => (float32[N,8,8,8] y) {
          float32[16,3,3,3] w1 = random(1)
          float32[16] b1 = random(2)
          float32[8,16,1,1] w2 = random(3)
          c1 = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w1, b1)
          r1 = Relu(c1)
          p1 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r1)
          y = Conv<kernel_shape=[1,1]>(p1, w2)
        })",
     {2, 3, 16, 16}},
    {"depthwise_clip_residual",
     R"(opset 13
        graph g (float32[N,8,10,10] x) => (float32[N,8,10,10] y) {
          float32[8,1,3,3] w1 = random(1)
          float32[8] b1 = random(2)
          float32[8,8,1,1] w2 = random(3)
          float32[8] b2 = random(4)
          float32[] zero = {0}
          float32[] six = {6}
          c1 = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group=8>(x, w1, b1)
          r1 = Clip(c1, zero, six)
          c2 = Conv<kernel_shape=[1,1]>(r1, w2, b2)
          s = Add(x, c2)
          y = Conv<kernel_shape=[1,1]>(s, w2, b2)
        })",
     {2, 8, 10, 10}},
    {"fire_concat",
     R"(opset 13
        graph g (float32[N,4,9,9] x) => (float32[N,5,9,9] y) {
          float32[5,12,1,1] wj = random(5)
          float32[6,4,1,1] wl = random(1)
          float32[6,4,3,3] wr = random(2)
          float32[6] bl = random(3)
          float32[6] br = random(4)
          l = Conv<kernel_shape=[1,1]>(x, wl, bl)
          lr = Relu(l)
          r = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, wr, br)
          rr = Relu(r)
          j = Concat<axis=1>(lr, rr)
          y = Conv<kernel_shape=[1,1]>(j, wj)
        })",
     {2, 4, 9, 9}},
    {"pool_flatten_gemm",
     R"(opset 13
        graph g (float32[N,16,7,7] x) => (float32[N,10] y) {
          float32[10,16] w = random(1)
          float32[10] b = random(2)
          p = GlobalAveragePool(x)
          f = Flatten(p)
          y = Gemm<transB=1>(f, w, b)
        })",
     {3, 16, 7, 7}},
    {"matmul_3d",
     R"(opset 13
        graph g (float32[N,5,32] x) => (float32[N,5,24] y) {
          float32[32,24] w = random(1)
          float32[24,24] v = random(2)
          m = MatMul(x, w)
          s = Sigmoid(m)
          y = MatMul(s, v)
        })",
     {2, 5, 32}},
    {"conv_transpose",
     R"(opset 13
        graph g (float32[N,6,5,5] x) => (float32[N,4,10,10] y) {
          float32[6,4,2,2] w = random(1)
          float32[4] b = random(2)
          t = ConvTranspose<kernel_shape=[2,2], strides=[2,2]>(x, w, b)
          y = Relu(t)
        })",
     {2, 6, 5, 5},
     "generic"},
    {"activations_16_bit",
     R"(opset 13
        graph g (float32[N,3,8,8] x) => (float32[N,4,8,8] y) {
          float32[4,3,3,3] w = random(1)
          c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w)
          y = Relu(c)
        })",
     {2, 3, 8, 8},
     "ort-cpu",
     [](target::GridChoice& choice) { choice.activations.bits = 16; }},
    {"weights_4_bit_old_opset",
     R"(opset 11
        graph g (float32[N,3,8,8] x) => (float32[N,5] y) {
          float32[4,5] v = random(2)
          float32[4,3,3,3] w = random(1)
          c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w)
          r = Relu(c)
          m = ReduceMean<axes=[2,3], keepdims=1>(r)
          s = Squeeze<axes=[2,3]>(m)
          y = MatMul(s, v)
        })",
     {2, 3, 8, 8},
     "ort-cpu",
     [](target::GridChoice& choice) { choice.weights.bits = 4; }},
    {"matmul_blocks_of_4_bit",
     R"(opset 13
        graph g (float32[N,64] x) => (float32[N,24] y) {
          float32[64,24] w = random(1)
          y = MatMul(x, w)
        })",
     {4, 64},
     "ort-cpu",
     [](target::GridChoice& choice) {
       choice.weights.bits = 4;
       choice.weight_granularity = quant::Granularity::kBlock;
       choice.block_size = 16;
     }},
    {"odd_widths",
     R"(opset 13
        graph g (float32[N,3,8,8] x) => (float32[N,4,8,8] y) {
          float32[4,3,3,3] w = random(1)
          float32[4] b = random(5)
          c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w, b)
          y = Relu(c)
        })",
     {2, 3, 8, 8},
     "generic",
     [](target::GridChoice& choice) { choice.activations.bits = 6, choice.weights.bits = 5; }},
    {"weights_2_bit",
     R"(opset 13
        graph g (float32[N,3,8,8] x) => (float32[N,5] y) {
          float32[4,5] v = random(2)
          float32[4,3,3,3] w = random(1)
          c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w)
          m = GlobalAveragePool(c)
          s = Flatten(m)
          y = MatMul(s, v)
        })",
     {2, 3, 8, 8},
     "ort-cpu",
     [](target::GridChoice& choice) { choice.weights.bits = 2; }},
    {"weights_ternary",
     R"(opset 13
        graph g (float32[N,32] x) => (float32[N,24] y) {
          float32[32,24] w = random(1)
          y = MatMul(x, w)
        })",
     {4, 32},
     "ort-cpu",
     [](target::GridChoice& choice) { choice.weights = target::ParseGridName("ternary").value(); }},
    {"per_tensor_opset_9",
     R"(opset 9
        graph g (float32[N,3,8,8] x) => (float32[N,4,8,8] y) {
          float32[4,3,3,3] w = random(1)
          float32[4] b = random(5)
          c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w, b)
          y = Clip<min=0.0, max=6.0>(c)
        })",
     {2, 3, 8, 8},
     "ort-cpu",
     [](target::GridChoice& choice) { choice.weight_granularity = quant::Granularity::kTensor; }},
};

// Share of values that differ by more than one step (and a hair for float rounding).
double ShareBeyondOneStep(const Tensor& a, const Tensor& b, float step) {
  REQUIRE(a.shape() == b.shape());
  int64_t beyond = 0;
  for (int64_t i = 0; i < a.size(); ++i)
    beyond += !(std::fabs(a.data<float>()[i] - b.data<float>()[i]) <= 1.001f * step);
  return static_cast<double>(beyond) / static_cast<double>(a.size());
}

void CheckAgainstOrt(const Case& test) {
  const auto calibrated = e2e::Calibrated(test.text, test.input, test.target, test.adjust);
  const Session& session = *calibrated;
  auto exported = target::ExportQdq(session.model, session.encodings, {});
  REQUIRE(exported.ok());
  e2e::ScratchFolder scratch(std::string("export-") + test.name);
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(*exported, file).ok());

  const Tensor input = support::RandomSource(test.input, 1, 99).Next().value()->inputs[0];
  const std::string input_name = session.model.graph->inputs[0].name;
  auto ort = e2e::RunOrt(
      {{file, false, {{input_name, input}}}, {file, true, {{input_name, input}}}}, scratch.path());
  INFO((ort.ok() ? "" : ort.status().message()));
  REQUIRE(ort.ok());

  engine::ExecutorOptions options;
  options.simulate = &session.encodings;
  auto executor = engine::Executor::Create(session.model, options);
  REQUIRE(executor.ok());
  auto simulated = (*executor)->Run({input});
  REQUIRE(simulated.ok());
  const std::string output = session.model.graph->outputs[0].name;
  REQUIRE(session.encodings.contains(output));
  const float step = session.encodings.at(output).params[0].scale;
  CHECK(ShareBeyondOneStep((*simulated)[0], (*ort)[0][0], step) <= 0.01);
  CHECK(ShareBeyondOneStep((*simulated)[0], (*ort)[1][0], step) <= 0.01);
}

// Grids of floats have steps in proportion to the value; a rounding that tips there shows as one.
double ShareBeyondOnePart(const Tensor& a, const Tensor& b, float part, float least) {
  REQUIRE(a.shape() == b.shape());
  int64_t beyond = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const float x = a.data<float>()[i], y = b.data<float>()[i];
    beyond += !(std::fabs(x - y) <= 1.001f * std::max(part * std::fabs(x), least));
  }
  return static_cast<double>(beyond) / static_cast<double>(a.size());
}

struct FloatCase {
  const char *activations, *weights;
  float part;  // the largest step relative to the value
};
constexpr FloatCase kFloatCases[] = {
    {"float8e4m3fn", "float8e4m3fn", 0.125f}, {"float8e5m2", "float8e4m3fn", 0.25f},
    {"float8e4m3fn", "mxfp8", 0.125f},        {"float16", "float16", 0x1p-10f},
    {"float8e4m3fn", "ternary", 0.125f},      {"float16", "binary", 0x1p-10f}};

// The optimizations make integer operators of float8 pairs, which then do not take the type, drop a
// Relu in front of one, and undo Casts: what the file says is what runs without them.

void CheckFloatsAgainstOrt(const Case& test, const FloatCase& floats) {
  const auto calibrated =
      e2e::Calibrated(test.text, test.input, "generic", [&](target::GridChoice& choice) {
        choice.activations = target::ParseGridName(floats.activations).value();
        choice.weights = target::ParseGridName(floats.weights).value();
      });
  const Session& session = *calibrated;
  auto exported = target::ExportQdq(session.model, session.encodings, {});
  REQUIRE(exported.ok());
  e2e::ScratchFolder scratch(std::string("floats-") + test.name);
  const std::string file = scratch.File("model.onnx");
  REQUIRE(io::WriteOnnx(*exported, file).ok());
  const Tensor input = support::RandomSource(test.input, 1, 99).Next().value()->inputs[0];
  const std::string name = session.model.graph->inputs[0].name;
  auto ort = e2e::RunOrt({{file, false, {{name, input}}}}, scratch.path());
  INFO((ort.ok() ? "" : ort.status().message()));
  REQUIRE(ort.ok());
  engine::ExecutorOptions options;
  options.simulate = &session.encodings;
  auto simulated = (*engine::Executor::Create(session.model, options))->Run({input});
  REQUIRE(simulated.ok());
  const quant::Encoding& output = session.encodings.at(session.model.graph->outputs[0].name);
  const float least = output.params[0].scale * 0x1p-9f;  // below the normal numbers of float8e4m3fn
  CHECK(ShareBeyondOnePart((*simulated)[0], (*ort)[0][0], floats.part, least) <= 0.01);
}

}  // namespace

TEST_CASE("models on grids of floats and of few levels run in ONNX Runtime alike") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const FloatCase& floats : kFloatCases)
    for (const char* name : {"pool_flatten_gemm", "matmul_3d", "conv_transpose"})
      for (const Case& test : kCases)
        if (std::string(test.name) == name)
          DYNAMIC_SECTION(name << " " << floats.activations << " " << floats.weights) {
            CheckFloatsAgainstOrt(test, floats);
          }
}

TEST_CASE("exported models run in ONNX Runtime and agree with the simulation") {
  if (e2e::SkippedWithoutOrt()) return;
  for (const Case& test : kCases) {
    DYNAMIC_SECTION(test.name) { CheckAgainstOrt(test); }
  }
}

}  // namespace roundel
