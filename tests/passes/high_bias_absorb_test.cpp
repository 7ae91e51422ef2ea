#include <catch2/catch.hpp>

#include "lib/graph/text.h"
#include "tests/support/pass_harness.h"

namespace roundel::passes {
namespace {

using support::OutputDifference;
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
PassOptions Known() {
  return {.statistics = {{"c", {{100, 3, 130}, {2, 1, 10}}}}};
}

TEST_CASE("the constant moves through Relu into the next bias, by the formula") {
  const PassRun run = RunPass("high_bias_absorb", Pair("[relu] r = Relu(c)\n"), Known());
  CHECK(run.outcome == Outcome::kChanged);
  const float* b1 = run.Constant("b1").data<float>();
  CHECK(b1[0] == 106.0f);
  CHECK(b1[1] == 300.0f);
  CHECK(b1[2] == 300.0f);
  const float* w2 = run.Constant("w2").data<float>();
  const float* b2 = run.Constant("b2").data<float>();
  CHECK(b2[0] == Approx(1 + 94.0 * w2[0] + 100.0 * w2[2]));
  CHECK(b2[1] == Approx(2 + 94.0 * w2[3] + 100.0 * w2[5]));
  CHECK(OutputDifference(run.before, run.after()) < 1e-5);
  CHECK(run.Metric("approximate") == "true");
  CHECK(run.session.statistics.at("c").mean == std::vector<double>{6, 3, 30});
}

TEST_CASE("leaky and parametric Relu are the identity above zero") {
  CHECK(OutputDifference(
            RunPass("high_bias_absorb", Pair("r = LeakyRelu<alpha=0.1>(c)\n"), Known()).before,
            RunPass("high_bias_absorb", Pair("r = LeakyRelu<alpha=0.1>(c)\n"), Known()).after()) <
        1e-5);
  const PassRun run = RunPass(
      "high_bias_absorb", Pair("r = PRelu(c, s)\n", "float32[3,1,1] s = {0.1, 0.2, 0.3}\n"), Known());
  CHECK(run.outcome == Outcome::kChanged);
  CHECK(OutputDifference(run.before, run.after()) < 1e-5);
}

TEST_CASE("a bound per channel behind the Relu is lowered with the bias") {
  const PassRun run = RunPass("high_bias_absorb",
                              Pair("t = Relu(c)\n[min] r = Min(t, m)\n",
                                   "float32[1,3,1,1] m = {200.5, 301, 399}\n"),
                              Known());
  CHECK(run.outcome == Outcome::kChanged);
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
    })", Known());
  CHECK(OutputDifference(run.before, run.after()) < 1e-5);
  CHECK(run.Reason("first", "absorbed").find("2 channels into 'second'") == 0);
}

TEST_CASE("what stands in the way is recorded") {
  const auto reason = [](const std::string& text, const PassOptions& options) {
    const PassRun run = RunPass("high_bias_absorb", text, options);
    CHECK(run.outcome == Outcome::kUnchanged);
    return run.Reason("first");
  };
  CHECK(reason(Pair("r = Relu(c)\n"), {}) == "no batch normalisation told its output statistics");
  const PassOptions low{.statistics = {{"c", {{1, 1, 1}, {1, 1, 1}}}}};
  CHECK(reason(Pair("r = Relu(c)\n"), low) == "no channel's mean lies three deviations above zero");
  CHECK(reason(Pair("[clip] r = Clip(c, z, m)\n", "float32[] z = {0}\nfloat32[] m = {350}\n"),
               Known()) == "Clip 'clip' (Clip) has one bound for all channels");
  CHECK(reason(Pair("[sig] r = Sigmoid(c)\n"), Known()) ==
        "its reader 'sig' (Sigmoid) is not Conv, ConvTranspose, Gemm or MatMul");
  CHECK(reason(Pair("t = Relu(c)\nr = Relu(c)\n"), Known()) ==
        "'c' has several readers or is a graph output");
}

TEST_CASE("a padded next layer is inexact at its border, or skipped on request") {
  const std::string padded =
      Pair("r = Relu(c)\n", "", "<kernel_shape=[1,1], pads=[1,1,1,1], strides=[2,2]>");
  PassOptions options = Known();
  CHECK(RunPass("high_bias_absorb", padded, options).Reason("first", "absorbed") ==
        "2 channels into 'second' (Conv), inexact at its padded border");
  options.params = {{"padding", "skip"}};
  CHECK(RunPass("high_bias_absorb", padded, options).Reason("first") ==
        "the zero padding of 'second' (Conv) would see the shift");
}

}  // namespace
}  // namespace roundel::passes
