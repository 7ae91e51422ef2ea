
#include <algorithm>
#include <cmath>

#include "lib/engine/executor.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

using support::OutputDifference;
using support::PassError;
using support::PassOptions;
using support::PassRun;
using support::RunPass;

// Two 1x1 convolutions with `between` from `c` to `r`; biases far above zero, so that every
// pre-activation is at least 100 on inputs of a few units and the move is exact.
std::string Pair(const std::string& between, const std::string& constants = "",
                 const std::string& attributes = "") {
  return "opset 13\ngraph g (float32[N,2,4,4] x) => (float32[N,2,4,4] y) {\n" + constants +
         "float32[3,2,1,1] w1 = random(1)\nfloat32[3] b1 = {200, 300, 400}\n"
         "float32[2,3,1,1] w2 = random(2)\nfloat32[2] b2 = {1, 2}\n"
         "[first] c = Conv(x, w1, b1)\n" +
         between + "[second] y = Conv" + attributes + "(r, w2, b2)\n}\n";
}

// c = mean - 3 deviations = {94, 0, 100}: the second channel has nothing to give.
PassOptions Known() { return {.statistics = {{"c", {{100, 3, 130}, {2, 1, 10}}}}}; }

TEST_CASE("the constant moves through Relu into the next bias, by the formula") {
  const PassRun run = RunPass("high_bias_absorb", Pair("[relu] r = Relu(c)\n"), Known());
  const float* b1 = run.Constant("b1").data<float>();
  CHECK(b1[0] == 106.0f);
  CHECK(b1[1] == 300.0f);
  CHECK(b1[2] == 300.0f);
  const float* w2 = run.Constant("w2").data<float>();
  const float* b2 = run.Constant("b2").data<float>();
  CHECK(b2[0] == Approx(1 + 94.0 * w2[0] + 100.0 * w2[2]));
  CHECK(b2[1] == Approx(2 + 94.0 * w2[3] + 100.0 * w2[5]));
  CHECK(OutputDifference(run.before, run.after()) < 1e-5);
  CHECK(run.outcome == Outcome::kApproximate);
  CHECK(run.session.output_moments.at("c").mean == std::vector<double>{6, 3, 30});
}

TEST_CASE("leaky and parametric Relu are the identity above zero") {
  CHECK(OutputDifference(
            RunPass("high_bias_absorb", Pair("r = LeakyRelu<alpha=0.1>(c)\n"), Known()).before,
            RunPass("high_bias_absorb", Pair("r = LeakyRelu<alpha=0.1>(c)\n"), Known()).after()) <
        1e-5);
  const PassRun run =
      RunPass("high_bias_absorb", Pair("r = PRelu(c, s)\n", "float32[3,1,1] s = {0.1, 0.2, 0.3}\n"),
              Known());
  CHECK(run.outcome != Outcome::kUnchanged);
  CHECK(OutputDifference(run.before, run.after()) < 1e-5);
}

TEST_CASE("a bound per channel behind the Relu is lowered with the bias") {
  const PassRun run = RunPass(
      "high_bias_absorb",
      Pair("t = Relu(c)\n[min] r = Min(t, m)\n", "float32[1,3,1,1] m = {200.5, 301, 399}\n"),
      Known());
  CHECK(run.outcome != Outcome::kUnchanged);
  const float* m = run.Constant("m").data<float>();
  CHECK(m[0] == 106.5f);
  CHECK(m[1] == 301.0f);
  CHECK(m[2] == 299.0f);
  CHECK(OutputDifference(run.before, run.after()) < 1e-5);
}

TEST_CASE("without an activation the whole mean moves, negative ones too") {
  const PassOptions options{.statistics = {{"c", {{100, -3, 130}, {2, 1, 10}}}}};
  std::string text = Pair("");
  text.replace(text.find("(r, w2"), 6, "(c, w2");
  const PassRun run = RunPass("high_bias_absorb", text, options);
  CHECK(run.Constant("b1").data<float>()[1] == 303.0f);
  CHECK(OutputDifference(run.before, run.after()) < 1e-5);
}

TEST_CASE("grouped next layers take what their own inputs give") {
  const PassRun run = RunPass("high_bias_absorb", R"(opset 13
    graph g (float32[N,2,4,4] x) => (float32[N,3,4,4] y) {
      float32[3,2,1,1] w1 = random(1)
      float32[3] b1 = {200, 300, 400}
      float32[3,1,1,1] w2 = {2, 3, -4}
      [first] c = Conv(x, w1, b1)
      r = Relu(c)
      [second] y = Conv<group=3>(r, w2)
    })",
                              Known());
  CHECK(OutputDifference(run.before, run.after()) < 1e-5);
  CHECK(run.Reason("first", "absorbed") ==
        "the bias of 2 of 3 channels, up to 100, by 'second' (Conv)");
}

TEST_CASE("what stands in the way is recorded") {
  const auto reason = [](const std::string& text, const PassOptions& options) {
    const PassRun run = RunPass("high_bias_absorb", text, options);
    CHECK(run.outcome == Outcome::kUnchanged);
    CHECK(run.outcome != Outcome::kApproximate);
    return run.Reason("first");
  };
  CHECK(reason(Pair("r = Relu(c)\n"), {}) ==
        "its values are unknown: there is no folded batch normalization and no data");
  const PassOptions low{.statistics = {{"c", {{1, 1, 1}, {1, 1, 1}}}}};
  CHECK(reason(Pair("r = Relu(c)\n"), low) == "no channel has a bias worth moving");
  const PassOptions foreign{.statistics = {{"c", {{100}, {1}}}}};
  CHECK(reason(Pair("r = Relu(c)\n"), foreign) ==
        "its values are unknown: there is no folded batch normalization and no data");
  CHECK(reason(Pair("[clip] r = Clip(c, z, m)\n", "float32[] z = {0}\nfloat32[] m = {350}\n"),
               Known()) == "'clip' (Clip) bounds it; cle replaces that by Min");
  CHECK(reason(Pair("[sig] r = Sigmoid(c)\n"), Known()) == "'sig' (Sigmoid) reads it");
  CHECK(reason(Pair("s = Relu(c)\n[again] r = Relu(s)\n"), Known()) ==
        "a second activation follows");
  CHECK(reason(Pair("t = Relu(c)\nr = Relu(c)\n"), Known()) == "'c' has several readers");
  CHECK(reason(Pair("r = Relu(c)\nt = Sigmoid(r)\n"), Known()) == "'r' has several readers");
  CHECK(reason(Pair("r = Relu(c)\n") + "", {.statistics = {{"y", {{1, 1}, {0, 0}}}}}) ==
        "its values are unknown: there is no folded batch normalization and no data");
  CHECK(reason(Pair("r = Add(s, c)\n", "float32[1] s = {3}\n"), Known()) ==
        "Add producing 'r' reads it");
  CHECK(reason(Pair("m = MaxPool<kernel_shape=[1,1]>(c)\nr = Relu(m)\n"), Known()) ==
        "a second activation follows");
  CHECK(reason(Pair("p = AveragePool<kernel_shape=[2,2], pads=[1,1,0,0], count_include_pad=1>(c)\n"
                    "r = Identity(p)\n"),
               Known()) == "AveragePool producing 'p' reads it");
  PassRun last = RunPass("high_bias_absorb", Pair("r = Relu(c)\n"), Known());
  CHECK(last.Reason("second") == "'y' is a graph output");
}

TEST_CASE("a padded next layer is skipped, or inexact at its border on request") {
  const std::string padded =
      Pair("r = Relu(c)\n", "", "<kernel_shape=[1,1], pads=[1,1,1,1], strides=[2,2]>");
  PassOptions options = Known();
  options.params = {{"padding", "skip"}};
  CHECK(RunPass("high_bias_absorb", padded, options).Reason("first") ==
        "'second' (Conv) pads with zeros");
  options.params = {{"padding", "allow"}};
  const PassRun run = RunPass("high_bias_absorb", padded, options);
  CHECK(run.outcome == Outcome::kApproximate);
  // Stride 2 with one row of padding: the outputs of the first row and column see the padding, the
  // others see the image and are exact.
  const Tensor before = support::RunModel(run.before)[0], after = support::RunModel(run.after())[0];
  REQUIRE(before.shape() == Shape{2, 2, 3, 3});
  for (int64_t i = 0; i < before.size(); ++i) {
    const bool border = i % 3 == 0 || i / 3 % 3 == 0;
    const float difference = std::fabs(before.data<float>()[i] - after.data<float>()[i]);
    CHECK((border ? difference > 1 : difference < 1e-2));
  }
}

TEST_CASE("pooling, Flatten and several readers pass the constant on") {
  const auto exact = [](const std::string& body) {
    INFO(body);
    const PassRun run = RunPass(
        "high_bias_absorb",
        "opset 13\ngraph g (float32[2,2,4,4] x) => (float32 y) {\n"
        "float32[3,2,1,1] w1 = random(1)\nfloat32[3] b1 = {200, 300, 400}\n[first] c = Conv(x, w1, "
        "b1)\nr = Relu(c)\n" +
            body + "}\n",
        Known());
    CHECK(run.outcome != Outcome::kUnchanged);
    CHECK(run.Constant("b1").data<float>()[0] == 106.0f);
    CHECK(OutputDifference(run.before, run.after()) < 1e-5);
  };
  const std::string conv = "float32[2,3,1,1] v = random(2)\n[second] y = Conv(p, v)\n";
  exact("p = MaxPool<kernel_shape=[2,2], pads=[1,1,1,1]>(r)\n" + conv);
  exact("p = AveragePool<kernel_shape=[2,2], pads=[1,1,1,1]>(r)\n" + conv);
  exact("p = GlobalAveragePool(r)\n" + conv);
  exact("p = ReduceMean<axes=[2,3]>(r)\n" + conv);
  exact("d = Dropout(r)\np = Identity(d)\n" + conv);
  exact("f = Flatten(r)\nfloat32[48,5] v = random(2)\ny = Gemm<alpha=0.5>(f, v)\n");
  exact(
      "g = GlobalAveragePool(r)\nf = Flatten(g)\nfloat32[3,5] v = random(2)\n"
      "y = MatMul(f, v)\n");
  exact(
      "float32[2,3,1,1] v = random(2)\nfloat32[2,3,3,3] u = random(3)\n"
      "s = Conv(r, v)\nt = Conv(r, u)\nq = Sigmoid(s)\nz = ReduceMean(t)\ny = Mul(q, z)\n");
  exact("float32[3,2,1,1] v = random(2)\ny = ConvTranspose(r, v)\n");
}

TEST_CASE("MatMul layers: last axis, biases made where missing") {
  const PassRun run =
      RunPass("high_bias_absorb", R"(opset 13
    graph g (float32[2,3,4] x) => (float32 y) {
      float32[4,3] w1 = random(1)
      float32[3] b1 = {200, 300, 400}
      float32[3,2] w2 = random(2)
      float32[2,2] w3 = random(3)
      [first] m = MatMul(x, w1)
      c = Add(m, b1)
      r = Relu(c)
      [second] n = MatMul(r, w2)
      [third] y = MatMul(n, w3)
    })",
              {.statistics = {{"c", {{100, 3, 130}, {2, 1, 10}}}, {"n", {{5, -7}, {1, 1}}}}});
  CHECK(run.Count("absorbed") == 2);
  CHECK(run.Ops() == "MatMul Add Relu MatMul Add MatMul Add");
  CHECK(OutputDifference(run.before, run.after()) < 1e-5);
}

// ---- from data

support::VectorSource Data(uint64_t seed) { return support::RandomSource({2, 2, 4, 4}, 3, seed); }

TEST_CASE("without statistics the smallest value on the data moves, which is exact there") {
  support::VectorSource data = Data(1);
  PassOptions options{.data = &data};
  const PassRun run = RunPass("high_bias_absorb", Pair("r = Relu(c)\n"), options);
  CHECK(run.Count("absorbed") == 1);
  // Brute force: the smallest value of every channel of c over the three batches.
  graph::Model first = graph::Clone(run.before);
  first.graph->outputs[0].name = "c";
  auto executor = engine::Executor::Create(first);
  REQUIRE(executor.ok());
  std::vector<float> low(3, INFINITY);
  REQUIRE(data.Rewind().ok());
  for (auto batch = data.Next(); *batch; batch = data.Next()) {
    const auto outputs = (*executor)->Run((*batch)->inputs);
    REQUIRE(outputs.ok());
    for (int64_t i = 0; i < (*outputs)[0].size(); ++i)
      low[static_cast<size_t>(i / 16 % 3)] =
          std::min(low[static_cast<size_t>(i / 16 % 3)], (*outputs)[0].data<float>()[i]);
  }
  const float b1[] = {200, 300, 400};
  for (size_t c = 0; c < 3; ++c)
    CHECK(run.Constant("b1").data<float>()[c] == Approx(b1[c] - low[c]).epsilon(1e-5));
  CHECK(OutputDifference(run.before, run.after()) < 1e-2);

  options.params = {{"source", "statistics"}};
  CHECK(RunPass("high_bias_absorb", Pair("r = Relu(c)\n"), options).outcome == Outcome::kUnchanged);
}

TEST_CASE("data overrides statistics on request, and the mean moves where nothing stands between") {
  support::VectorSource data = Data(2);
  PassOptions options = Known();
  options.data = &data;
  options.params = {{"source", "data"}};
  std::string text = Pair("");
  text.replace(text.find("(r, w2"), 6, "(c, w2");
  const PassRun run = RunPass("high_bias_absorb", text, options);
  // Inputs have mean 0, so that the mean of c is near b1.
  for (size_t c = 0; c < 3; ++c) CHECK(std::fabs(run.Constant("b1").data<float>()[c]) < 1);
  CHECK(OutputDifference(run.before, run.after()) < 1e-5);
  CHECK(run.outcome != Outcome::kApproximate);
}

TEST_CASE("errors") {
  const Status no_data =
      PassError("high_bias_absorb", Pair("r = Relu(c)\n"), {.params = {{"source", "data"}}});
  CHECK(no_data.kind() == ErrorKind::kUsage);
  CHECK(no_data.message() ==
        "source: data needs calibration data: give --calib, or a data section");
  std::string text = Pair("r = Relu(c)\n");
  text.replace(text.find("random(2)"), 9, "fill(nan)");
  const Status nan = PassError("high_bias_absorb", text, Known());
  CHECK(nan.kind() == ErrorKind::kModel);
  CHECK(nan.message() == "node 'second' (Conv): tensor 'w2' holds NaN or infinity");
}

}  // namespace
}  // namespace roundel::passes
