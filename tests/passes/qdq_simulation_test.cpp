// Simulation equals export: the executor with the encodings applied, the exported QDQ graph run by
// plain kernels, and the imported graph give the same bits.

#include <algorithm>
#include <cstring>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/targets/grid_name.h"
#include "lib/targets/qdq.h"
#include "passes/pass.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

using quant::EncodingTable;
using quant::Granularity;

std::vector<Tensor> Run(const graph::Model& model, const EncodingTable* simulate,
                        const std::vector<Tensor>& inputs) {
  engine::ExecutorOptions options;
  options.fast_kernels = false;
  options.simulate = simulate;
  auto executor = engine::Executor::Create(model, options);
  INFO((executor.ok() ? "" : executor.status().message()));
  REQUIRE(executor.ok());
  auto outputs = (*executor)->Run(inputs);
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  return std::move(*outputs);
}

void CheckSameBits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    REQUIRE(a[i].shape() == b[i].shape());
    // -0 and 0 are one value: a Relu's and a zero point's zeros may differ in sign.
    const auto x = a[i].span<float>(), y = b[i].span<float>();
    CHECK(std::equal(x.begin(), x.end(), y.begin()));
  }
}

struct Case {
  const char* name;
  const char* text;
  Shape input;
};

const Case kCases[] = {
    {"Conv, Relu, depthwise Conv, Clip",
     R"(opset 13
graph g (float32[2,3,6,6] x) => (float32[2,4,6,6] y) {
  float32[4,3,3,3] w = random(1)
  float32[4] b = random(2)
  float32[4,1,3,3] v = random(3)
  float32[4] c = random(4)
  float32[] low = {0}
  float32[] high = {6}
  t = Conv<pads=[1,1,1,1]>(x, w, b)
  r = Relu(t)
  d = Conv<pads=[1,1,1,1], group=4>(r, v, c)
  y = Clip(d, low, high)
})",
     {2, 3, 6, 6}},
    {"residual Add and Concat with pass-through chains",
     R"(opset 13
graph g (float32[2,4,6,6] x) => (float32[2,8,3,3] y, float32[2,72] f) {
  float32[4,4,1,1] w = random(1)
  float32[1,4,6,6] k = random(5)
  int64[2] shape = {2, 72}
  int64[2] parts = {4, 4}
  t = Conv(x, w)
  s = Add(x, t)
  r = Relu(s)
  a = Add(r, k)
  j = Concat<axis=1>(a, t)
  y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(j)
  p, q = Split<axis=1>(y, parts)
  h = Mul(p, q)
  e = Concat<axis=1>(h, p)
  f = Reshape(e, shape)
})",
     {2, 4, 6, 6}},
    {"Gemm with alpha and beta, MatMul, Softmax, Sigmoid",
     R"(opset 13
graph g (float32[3,8] x) => (float32[3,5] y, float32[3,5] z) {
  float32[4,8] w = random(1)
  float32[4] b = random(2)
  float32[4,5] v = random(3)
  t = Gemm<transB=1, alpha=0.5, beta=2.0>(x, w, b)
  m = MatMul(t, v)
  y = Softmax(m)
  z = Sigmoid(m)
})",
     {3, 8}},
    {"a Clip per channel, and a value with float readers",
     R"(opset 13
graph g (float32[2,2,4,4] x) => (float32[2,2,4,4] y, float32[2,2,4,4] z) {
  float32[2,2,1,1] w = random(1)
  float32[1,2,1,1] top = {1, 0.25}
  t = Conv(x, w)
  r = Relu(t)
  y = Min(r, top)
  z = Erf(y)
})",
     {2, 2, 4, 4}},
};

Session Calibrated(const Case& c, const target::GridChoice* choice = nullptr,
                   const char* target = "ort-cpu") {
  Session session;
  session.model = support::ParseModel(c.text);
  session.target = target::LoadProfile(target).value();
  session.target.anchors.clear();  // quantizers everywhere, not around layers alone
  session.grids = choice ? *choice : target::DefaultChoice(session.target);
  support::VectorSource data = support::RandomSource(c.input, 4, 11);
  session.data = &data;
  report::PassReport report;
  session.report = &report;
  const PassInfo* info = FindPass("calibrate");
  const auto outcome = info->run(session, recipe::Params(info->params));
  INFO((outcome.ok() ? "" : outcome.status().message()));
  REQUIRE(outcome.ok());
  session.data = nullptr;
  session.report = nullptr;
  return session;
}

void CheckAllForms(const Session& session, const Shape& input) {
  Random random(99);  // other data than the calibration's: values leave the ranges
  const std::vector<Tensor> inputs = {support::RandomTensor(input, random, 2.0)};
  const auto simulated = Run(session.model, &session.encodings, inputs);
  const auto plain = Run(session.model, nullptr, inputs);
  CHECK_FALSE(plain[0] == simulated[0]);  // the encodings do something
  for (const bool absorb : {true, false}) {
    const auto exported =
        target::ExportQdq(session.model, session.encodings, {.absorb_relu = absorb});
    INFO((exported.ok() ? "" : exported.status().message()));
    REQUIRE(exported.ok());
    CheckSameBits(Run(*exported, nullptr, inputs), simulated);
    const auto imported = target::ImportQdq(*exported);
    REQUIRE(imported.ok());
    CHECK(imported->encodings.size() == session.encodings.size());
    for (const auto& [value, e] : imported->encodings)
      if (const auto own = session.encodings.find(value); own != session.encodings.end())
        CHECK(e.grid.Name() == own->second.grid.Name());
    CheckSameBits(Run(imported->model, &imported->encodings, inputs), simulated);
  }
}

}  // namespace

TEST_CASE("simulation, export and import compute the same bits") {
  for (const Case& c : kCases) {
    SECTION(c.name) { CheckAllForms(Calibrated(c), c.input); }
  }
}

TEST_CASE("the same for four bits in blocks, symmetric activations and 16 bits") {
  target::GridChoice choice = target::DefaultChoice(target::LoadProfile("ort-cpu").value());
  SECTION("int4 blocks") {
    choice.weights = {.bits = 4, .is_signed = true, .symmetric = true};
    choice.weight_granularity = Granularity::kBlock;
    choice.block_size = 2;
  }
  SECTION("int8 symmetric activations, weights per tensor") {
    choice.activations = {.bits = 8, .is_signed = true, .symmetric = true};
    choice.weight_granularity = Granularity::kTensor;
  }
  SECTION("uint16 activations, uint4 weights") {
    choice.activations = {.bits = 16};
    choice.weights = {.bits = 4};
  }
  for (const Case& c : {kCases[0], kCases[2]}) CheckAllForms(Calibrated(c, &choice), c.input);
}

TEST_CASE("the same for small floats, two and three levels, and scales that are codes") {
  target::GridChoice choice = target::DefaultChoice(target::LoadProfile("generic").value());
  const auto named = [](const char* name) { return target::ParseGridName(name).value(); };
  SECTION("float8") { choice.activations = choice.weights = named("float8e4m3fn"); }
  SECTION("float8 of the other kind, weights per tensor") {
    choice.activations = choice.weights = named("float8e5m2");
    choice.weight_granularity = Granularity::kTensor;
  }
  SECTION("float4 activations") {
    choice.activations = named("float4e2m1");
    choice.weights = named("mxfp8");
  }
  SECTION("float8 weights, integer activations") { choice.weights = named("mxfp8e5m2"); }
  SECTION("mxfp4") { choice.weights = named("mxfp4"); }
  SECTION("nvfp4") {
    choice.activations = named("float8e4m3fn");
    choice.weights = named("nvfp4");
  }
  SECTION("ternary") { choice.weights = named("ternary"); }
  SECTION("binary") { choice.weights = named("binary"); }
  SECTION("integer scales of blocks") {
    choice.weights = named("int4 symmetric lpbq");
    choice.weight_granularity = Granularity::kBlock;
    choice.block_size = 3;
  }
  SECTION("activations of six and eleven bits") {
    choice.activations = {.bits = 6};
    choice.weights = named("int5 symmetric");
  }
  SECTION("symmetric activations of eleven bits, blocks that do not divide the axis") {
    choice.activations = named("int11 symmetric");
    choice.weights = named("int3 symmetric");
    choice.weight_granularity = Granularity::kBlock;
    choice.block_size = 2;
  }
  SECTION("scales with a sign") {
    choice.mode = target::ActivationMode::kFloat;
    choice.weights = named("int3 symmetric signed");
  }
  for (const Case& c : {kCases[0], kCases[2]})
    CheckAllForms(Calibrated(c, &choice, "generic"), c.input);
}

TEST_CASE("scales in float8e8m0 stand for the same numbers") {
  target::GridChoice choice = target::DefaultChoice(target::LoadProfile("generic").value());
  for (const char* name : {"mxfp4", "mxfp8"}) {
    choice.weights = target::ParseGridName(name).value();
    const Session session = Calibrated(kCases[0], &choice, "generic");
    Random random(99);
    const std::vector<Tensor> inputs = {support::RandomTensor(kCases[0].input, random, 2.0)};
    const auto exported =
        target::ExportQdq(session.model, session.encodings, {.e8m0_scales = true});
    REQUIRE(exported.ok());
    CHECK(exported->Opset() >= 24);
    int64_t coded = 0;
    for (const auto& initializer : exported->graph->initializers())
      coded += initializer.value.dtype() == DType::kFloat8E8M0;
    CHECK(coded > 0);
    const auto simulated = Run(session.model, &session.encodings, inputs);
    CheckSameBits(Run(*exported, nullptr, inputs), simulated);
    const auto imported = target::ImportQdq(*exported);
    REQUIRE(imported.ok());
    CHECK(imported->encodings.size() == session.encodings.size());
    CheckSameBits(Run(imported->model, &imported->encodings, inputs), simulated);
  }
}

TEST_CASE("16-bit floats are exported as Casts that compute the same bits") {
  target::GridChoice choice = target::DefaultChoice(target::LoadProfile("generic").value());
  for (const char* name : {"float16", "bfloat16"}) {
    choice.activations = choice.weights = target::ParseGridName(name).value();
    for (const Case& c : {kCases[0], kCases[2]}) {
      const Session session = Calibrated(c, &choice, "generic");
      Random random(99);
      const std::vector<Tensor> inputs = {support::RandomTensor(c.input, random, 2.0)};
      const auto simulated = Run(session.model, &session.encodings, inputs);
      CHECK_FALSE(Run(session.model, nullptr, inputs)[0] == simulated[0]);
      const auto exported = target::ExportQdq(session.model, session.encodings, {});
      REQUIRE(exported.ok());
      CheckSameBits(Run(*exported, nullptr, inputs), simulated);
    }
  }
}

}  // namespace roundel::passes
