#include <cmath>

#include "lib/base/text.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"

namespace roundel::passes {
namespace {

using support::OutputDifference;
using support::ParseModel;
using support::PassError;
using support::PassOptions;
using support::PassRun;
using support::RunPass;

// "y = BatchNormalization(x, ...)" and its parameters, which begin with `name`.
std::string BatchNorm(const std::string& name, int64_t channels, const std::string& x,
                      const std::string& y, const std::string& attributes = "") {
  return StrCat("float32[", channels, "] ", name, "_gamma = random(1, -1.5, 1.5)\n", "float32[",
                channels, "] ", name, "_beta = random(2)\n", "float32[", channels, "] ", name,
                "_mean = random(3)\n", "float32[", channels, "] ", name,
                "_var = random(4, 0.5, 2)\n", "[", name, "] ", y, " = BatchNormalization",
                attributes, "(", x, ", ", name, "_gamma, ", name, "_beta, ", name, "_mean, ", name,
                "_var)\n");
}

// BN without a shift: beta = mean = 0.
std::string BatchScale(const std::string& name, int64_t channels, const std::string& x,
                       const std::string& y) {
  std::string text = BatchNorm(name, channels, x, y);
  for (const char* fill : {"random(2)", "random(3)"}) text.replace(text.find(fill), 9, "zeros");
  return text;
}

std::string Model(const std::string& inputs, const std::string& outputs, const std::string& body,
                  int opset = 13) {
  return StrCat("opset ", opset, "\ngraph g (", inputs, ") => (", outputs, ") {\n", body, "}\n");
}

TEST_CASE("Conv and BN become one Conv with the numbers of the formula") {
  // gamma / sqrt(var + epsilon) = 2 / sqrt(3 + 1) = 1 and 3 / sqrt(0 + 1) = 3.
  const PassRun run = RunPass("bn_fold", Model("float32[N,1,2,2] x", "float32[N,2,2,2] y", R"(
      float32[2,1,1,1] w = {5, 7}
      float32[2] b = {1, 2}
      float32[2] gamma = {2, 3}
      float32[2] beta = {10, -20}
      float32[2] mean = {4, 6}
      float32[2] var = {3, 0}
      float32[N,2,2,2] t
      [conv] t = Conv(x, w, b)
      [bn] y = BatchNormalization<epsilon=1.0>(t, gamma, beta, mean, var)
  )"));
  CHECK(run.outcome == Outcome::kChanged);
  CHECK(graph::Print(run.after()) == R"(opset 13
graph g (float32[N,1,2,2] x) => (float32[N,2,2,2] y) {
  float32[2,1,1,1] w = {5, 21}
  float32[2] b = {7, -32}
  [conv] y = Conv(x, w, b)
}
)");  // b' = a (b - mean) + beta: 1 * (1 - 4) + 10, 3 * (2 - 6) - 20
  CHECK(run.Reason("'bn'", "folded") == "backward into 'conv' (Conv)");
  CHECK(run.Metric("folded") == "1");
  REQUIRE(run.session.output_moments.contains("y"));
  CHECK(run.session.output_moments.at("y").mean == std::vector<double>{10, -20});
  CHECK(run.session.output_moments.at("y").deviation == std::vector<double>{2, 3});
}

TEST_CASE("BN in front of a Conv folds forward with the numbers of the formula") {
  // a = (2, 3), d = beta - mean a = (10 - 8, -20 - 18) = (2, -38)
  const PassRun run = RunPass("bn_fold", Model("float32[N,2,2,2] x", "float32[N,1,2,2] y", R"(
      float32[1,2,1,1] w = {5, 7}
      float32[2] gamma = {2, 3}
      float32[2] beta = {10, -20}
      float32[2] mean = {4, 6}
      float32[2] var = {0, 0}
      [bn] t = BatchNormalization<epsilon=1.0>(x, gamma, beta, mean, var)
      [conv] y = Conv(t, w)
  )"));
  CHECK(graph::Print(run.after()) == R"(opset 13
graph g (float32[N,2,2,2] x) => (float32[N,1,2,2] y) {
  float32[1,2,1,1] w = {10, 21}
  float32[1] conv_bias = {-256}
  [conv] y = Conv(x, w, conv_bias)
}
)");  // 5 * 2 - 7 * 38
  CHECK(run.Reason("'bn'", "folded") == "forward into 'conv' (Conv)");
  CHECK(run.session.output_moments.empty());
}

struct Case {
  const char* name;
  std::string inputs, outputs, body;
  const char* ops;
  int opset = 13;
};

// Every case must keep the function, checked by the engine's plain kernels.
void CheckCase(const Case& c) {
  INFO(c.name);
  const PassRun run = RunPass("bn_fold", Model(c.inputs, c.outputs, c.body, c.opset));
  CHECK(run.Ops() == c.ops);
  CHECK(run.outcome == Outcome::kChanged);
  CHECK(OutputDifference(run.before, run.after()) < 2e-6);
}

TEST_CASE("backward folds keep the function") {
  const std::string image = "float32[2,4,7,6] x";
  const auto conv = [](const char* shape, const char* attributes, const char* bias) {
    return StrCat("float32", shape, " w = random(11)\nfloat32[6] b = random(12)\n", "t = Conv",
                  attributes, "(x, w", bias, ")\n");
  };
  const auto transposed = [](const char* shape, const char* attributes) {
    return StrCat("float32", shape, " w = random(11)\nt = ConvTranspose", attributes, "(x, w)\n");
  };
  const std::string bn6 = BatchNorm("bn", 6, "t", "y"), y = "float32 y";
  const std::string row = "float32[3,4] x";
  const Case cases[] = {
      {"no bias", image, y, conv("[6,4,3,3]", "<pads=[1,1,1,1]>", "") + bn6, "Conv"},
      {"bias, strides", image, y, conv("[6,4,3,2]", "<strides=[2,1]>", ", b") + bn6, "Conv"},
      {"SAME_UPPER", image, y, conv("[6,4,3,3]", "<auto_pad=\"SAME_UPPER\">", "") + bn6, "Conv"},
      {"groups", image, y, conv("[6,2,3,3]", "<group=2>", ", b") + bn6, "Conv"},
      {"depthwise", "float32[2,6,5,5] x", y, conv("[6,1,3,3]", "<group=6>", ", b") + bn6, "Conv"},
      {"multiplier 2", "float32[2,3,5,5] x", y, conv("[6,1,3,3]", "<group=3>", "") + bn6, "Conv"},
      {"1-D", "float32[2,4,9] x", y, conv("[6,4,3]", "<dilations=[2]>", ", b") + bn6, "Conv"},
      {"3-D", "float32[1,4,3,4,5] x", y, conv("[6,4,2,2,2]", "", ", b") + bn6, "Conv"},
      {"BN twice", image, y,
       conv("[6,4,1,1]", "", ", b") + BatchNorm("one", 6, "t", "u") + BatchNorm("two", 6, "u", "y"),
       "Conv"},
      {"transposed", image, y, transposed("[4,6,3,3]", "<strides=[2,2], pads=[1,1,1,1]>") + bn6,
       "ConvTranspose"},
      {"transposed groups", image, y, transposed("[4,3,3,3]", "<group=2>") + bn6, "ConvTranspose"},
      {"transposed depthwise", "float32[2,6,5,5] x", y, transposed("[6,1,3,3]", "<group=6>") + bn6,
       "ConvTranspose"},
      {"Gemm", row, y,
       "float32[4,6] w = random(5)\nfloat32[1] c = {0.7}\n"
       "t = Gemm<alpha=0.5, beta=3.0>(x, w, c)\n" +
           bn6,
       "Gemm"},
      {"Gemm transB", row, y,
       "float32[6,4] w = random(5)\nt = Gemm<transB=1, alpha=2.0>(x, w)\n" + bn6, "Gemm"},
      {"MatMul", row, y, "float32[4,6] w = random(5)\nt = MatMul(x, w)\n" + bn6, "MatMul Add"},
      {"MatMul and bias", row, y,
       "float32[4,6] w = random(5)\nfloat32[1,6] b = random(6)\nm = MatMul(x, w)\n"
       "t = Add(b, m)\n" +
           bn6,
       "MatMul Add"},
      {"weight from a Constant node", image, y,
       "w = Constant<value=float32[6,4,1,1]random(3)>()\nt = Conv(x, w)\n" + bn6, "Constant Conv"},
      {"reflecting Pad between", image, y,
       conv("[6,4,1,1]", "", ", b") +
           "int64[8] p = {0,0,1,1,0,0,1,1}\n"
           "u = Pad<mode=\"reflect\">(t, p)\n" +
           BatchNorm("bn", 6, "u", "y"),
       "Conv Pad"},
      {"zero Pad between, BN without shift", image, y,
       conv("[6,4,1,1]", "", "") +
           "int64[8] p = {0,0,1,1,0,0,1,1}\n"
           "u = Pad(t, p)\n" +
           BatchScale("bn", 6, "u", "y"),
       "Conv Pad"},
      {"opset 8, spatial", image, y,
       conv("[6,4,1,1]", "", "") + BatchNorm("bn", 6, "t", "y", "<spatial=1>"), "Conv", 8},
      {"opset 15", image, y, conv("[6,4,1,1]", "", "") + bn6, "Conv", 15},
  };
  for (const Case& c : cases) CheckCase(c);
}

TEST_CASE("forward folds keep the function") {
  const std::string image = "float32[2,4,7,6] x", y = "float32 y", row = "float32[3,4] x";
  const std::string bn4 = BatchNorm("bn", 4, "x", "t");
  const std::string w644 = "float32[6,4] w = random(5)\n", w46 = "float32[4,6] w = random(5)\n";
  const Case cases[] = {
      {"Conv with bias", image, y,
       bn4 + "float32[6,4,3,2] w = random(5)\nfloat32[6] b = random(6)\ny = Conv(t, w, b)\n",
       "Conv"},
      {"groups", image, y,
       bn4 + "float32[6,2,3,3] w = random(5)\ny = Conv<group=2, auto_pad=\"VALID\">(t, w)\n",
       "Conv"},
      {"depthwise", image, y, bn4 + "float32[8,1,3,3] w = random(5)\ny = Conv<group=4>(t, w)\n",
       "Conv"},
      {"padded 1x1 by SAME", image, y,
       bn4 + "float32[6,4,1,1] w = random(5)\ny = Conv<auto_pad=\"SAME_LOWER\">(t, w)\n", "Conv"},
      {"zero padding without shift", image, y,
       BatchScale("bn", 4, "x", "t") +
           "float32[6,4,3,3] w = random(5)\ny = Conv<pads=[1,1,1,1]>(t, w)\n",
       "Conv"},
      {"transposed 1x1", image, y,
       bn4 + "float32[4,3,1,1] w = random(5)\ny = ConvTranspose<group=2>(t, w)\n", "ConvTranspose"},
      {"transposed without shift", image, y,
       BatchScale("bn", 4, "x", "t") +
           "float32[4,3,3,3] w = random(5)\ny = ConvTranspose<strides=[2,2]>(t, w)\n",
       "ConvTranspose"},
      {"Gemm", row, y,
       bn4 + w46 +
           "float32[3,6] c = random(6)\n"
           "float32[6] d = random(7)\ny = Gemm<alpha=0.5, beta=2.0>(t, w, d)\n",
       "Gemm"},
      {"Gemm transB", row, y, bn4 + w644 + "y = Gemm<transB=1>(t, w)\n", "Gemm"},
      {"MatMul", row, y, bn4 + w46 + "y = MatMul(t, w)\n", "MatMul Add"},
      {"MatMul and bias", row, y,
       bn4 + w46 + "float32[6] b = random(6)\nm = MatMul(t, w)\ny = Add(m, b)\n", "MatMul Add"},
      {"Flatten", "float32[2,4,3,2] x", y,
       bn4 + "float32[24,5] w = random(5)\nf = Flatten(t)\ny = Gemm(f, w)\n", "Flatten Gemm"},
      {"Reshape keeping N", "float32[2,4,3,2] x", y,
       bn4 + "float32[24,5] w = random(5)\nint64[2] s = {0, -1}\nf = Reshape(t, s)\n"
             "y = MatMul(f, w)\n",
       "Reshape MatMul Add"},
      {"Reshape with declared sizes", "float32[2,4,3,2] x", y,
       "float32[2,4,3,2] t\n" + bn4 +
           "float32[24,5] w = random(5)\nint64[2] s = {-1, 24}\n"
           "f = Reshape(t, s)\ny = Gemm(f, w)\n",
       "Reshape Gemm"},
      {"edge Pad", image, y,
       bn4 + "int64[8] p = {0,0,1,1,0,0,1,1}\nu = Pad<mode=\"edge\">(t, p)\n"
             "float32[6,4,3,3] w = random(5)\ny = Conv(u, w)\n",
       "Pad Conv"},
      {"BN twice", image, y,
       BatchNorm("one", 4, "x", "u") + BatchNorm("two", 4, "u", "t") +
           "float32[6,4,1,1] w = random(5)\ny = Conv(t, w)\n",
       "Conv"},
  };
  for (const Case& c : cases) CheckCase(c);
}

TEST_CASE("a constant Pad takes the one value that serves all channels") {
  // BN maps p = 2 to 3 * 2 + 1 = 7 in both channels.
  const std::string parameters =
      "float32[2] gamma = {3, 3}\nfloat32[2] beta = {1, 1}\nfloat32[2] zero = zeros\n"
      "float32[2] var = ones\nfloat32[2,2,1,1] w = random(3)\nint64[8] p = {0,0,1,0,0,0,0,2}\n"
      "float32[] two = {2}\n";
  const PassRun back = RunPass(
      "bn_fold",
      Model("float32[1,2,3,3] x", "float32 y",
            parameters + "t = Conv(x, w)\nu = Pad(t, p, two)\n"
                         "y = BatchNormalization<epsilon=0.0>(u, gamma, beta, zero, var)\n"));
  CHECK(back.Ops() == "Conv Pad");
  CHECK(back.Constant("two").span<float>()[0] == 7.0f);
  CHECK(OutputDifference(back.before, back.after()) < 2e-6);
  // Forward the Pad comes after BN: 3 * q + 1 = 2 wants q = 1/3.
  const PassRun ahead =
      RunPass("bn_fold",
              Model("float32[1,2,3,3] x", "float32 y",
                    parameters + "t = BatchNormalization<epsilon=0.0>(x, gamma, beta, zero, var)\n"
                                 "u = Pad(t, p, two)\ny = Conv(u, w)\n"));
  CHECK(ahead.Ops() == "Pad Conv");
  CHECK(ahead.Constant("two").span<float>()[0] == Approx(1.0 / 3));
  CHECK(OutputDifference(ahead.before, ahead.after()) < 2e-6);
  // Opset 10: the constant is an attribute.
  std::string old = parameters;
  old.replace(old.find("int64[8] p"), old.size(), "");
  const PassRun attribute = RunPass(
      "bn_fold", Model("float32[1,2,3,3] x", "float32 y",
                       old + "t = Conv(x, w)\nu = Pad<pads=[0,0,1,0,0,0,0,2], value=2.0>(t)\n"
                             "y = BatchNormalization<epsilon=0.0>(u, gamma, beta, zero, var)\n",
                       10));
  CHECK(attribute.after().graph->nodes()[1]->Float("value", 0) == 7.0f);
  CHECK(OutputDifference(attribute.before, attribute.after()) < 2e-6);
}

TEST_CASE("constants behind a layer fold backward, and carry the statistics along") {
  const std::string constants =
      "float32[6,1,1] c = random(21, 0.5, 2)\nfloat32[1,6,1,1] d = random(22)\n"
      "float32[] s = {3}\n";
  const std::string conv = "float32[6,4,3,3] w = random(5)\nt = Conv(x, w)\n";
  const PassRun run = RunPass(
      "bn_fold",
      Model("float32[2,4,5,5] x", "float32 y",
            constants + conv + BatchNorm("bn", 6, "t", "u") +
                "m = Mul(c, u)\na = Add(m, d)\nq = Div(a, s)\nr = Sub(s, q)\ny = Sub(r, d)\n"));
  CHECK(run.Ops() == "Conv");
  CHECK(OutputDifference(run.before, run.after()) < 2e-6);
  const auto& statistics = run.session.output_moments.at("y");
  const float c = run.before.graph->FindInitializer("c")->span<float>()[1];
  const float d = run.before.graph->FindInitializer("d")->span<float>()[1];
  const float beta = run.before.graph->FindInitializer("bn_beta")->span<float>()[1];
  const float gamma = run.before.graph->FindInitializer("bn_gamma")->span<float>()[1];
  CHECK(statistics.mean[1] == Approx(3 - (c * beta + d) / 3 - d));
  CHECK(statistics.deviation[1] == Approx(c * std::fabs(gamma) / 3));

  PassOptions off{.params = {{"constants", "false"}}};
  const std::string mul =
      Model("float32[2,4,5,5] x", "float32 y", constants + conv + "y = Mul(t, c)\n");
  CHECK(RunPass("bn_fold", mul, off).outcome == Outcome::kUnchanged);
  CHECK(RunPass("bn_fold", mul).Ops() == "Conv");
}

TEST_CASE("elementwise constants that are not per channel stay") {
  const std::string conv = "float32[6,4,3,3] w = random(5)\nt = Conv(x, w)\n";
  const std::string gemm = "float32[4,6] w = random(5)\nt = MatMul(x, w)\n";
  const auto unchanged = [](const std::string& input, const std::string& body) {
    const PassRun run = RunPass("bn_fold", Model(input, "float32 y", body));
    CHECK(run.outcome == Outcome::kUnchanged);
    CHECK(run.report.records.empty());
  };
  const char* image = "float32[2,4,8,8] x";
  unchanged(image, conv + "float32[6] c = random(1)\ny = Mul(t, c)\n");          // along width
  unchanged(image, conv + "float32[1,1,6,6,6] c = random(1)\ny = Mul(t, c)\n");  // adds an axis
  unchanged(image, conv + "float32[1,1,6,1,1] c = random(1)\ny = Mul(t, c)\n");  // adds an axis
  unchanged(image, conv + "float32[6,1,1] c = random(1)\ny = Div(c, t)\n");      // not linear
  unchanged(image, conv + "float32[6,1,1] c = zeros\ny = Div(t, c)\n");          // not finite
  unchanged(image, conv + "y = Mul(t, t)\n");
  unchanged(image, conv + "float32[1,1,1] c = fill(nan)\ny = Mul(t, c)\n");
  unchanged("float32[3,4] x", gemm + "float32[6] b = random(1)\ny = Add(t, b)\n");  // the bias
  unchanged("float32[3,4] x", gemm + "float32[1,3,6] b = random(1)\ny = Add(t, b)\n");
}

TEST_CASE("a shared weight is copied, and the copies fold apart") {
  const PassRun run =
      RunPass("bn_fold", Model("float32[1,4,5,5] x", "float32 y, float32 z",
                               "float32[4,4,3,3] w = random(5)\nfloat32[4] b = random(6)\n"
                               "t = Conv(x, w, b)\nu = Conv(x, w, b)\n" +
                                   BatchNorm("one", 4, "t", "y") + BatchScale("two", 4, "u", "z")));
  CHECK(run.Ops() == "Conv Conv");
  CHECK(OutputDifference(run.before, run.after()) < 2e-6);
  CHECK(run.after().graph->initializers().size() == 4);

  const PassRun half =
      RunPass("bn_fold", Model("float32[1,4,5,5] x", "float32 y, float32 z",
                               "float32[4,4,3,3] w = random(5)\nt = Conv(x, w)\nz = Conv(x, w)\n" +
                                   BatchNorm("bn", 4, "t", "y")));
  CHECK(half.Constant("w") == *half.before.graph->Constant("w"));
  CHECK(OutputDifference(half.before, half.after()) < 2e-6);
}

TEST_CASE("parameters that BNs share fold into both layers") {
  const PassRun run = RunPass(
      "bn_fold", Model("float32[1,4,5,5] x", "float32 y",
                       "float32[4,4,1,1] w = random(5)\nfloat32[4,4,1,1] v = random(6)\n"
                       "float32[4] p = random(7, 0.5, 2)\nt = Conv(x, w)\n"
                       "u = BatchNormalization(t, p, p, p, p)\nr = Relu(u)\ns = Conv(r, v)\n"
                       "y = BatchNormalization(s, p, p, p, p)\n"));
  CHECK(run.Ops() == "Conv Relu Conv");
  CHECK(OutputDifference(run.before, run.after()) < 2e-6);
}

TEST_CASE("dead channels fold to constants") {
  const PassRun run = RunPass("bn_fold", Model("float32[1,1,2,2] x", "float32 y", R"(
      float32[2,1,1,1] w = {5, 7}
      float32[2] gamma = {0, 1}
      float32[2] beta = {0.25, 0}
      float32[2] zero = zeros
      t = Conv(x, w)
      y = BatchNormalization(t, gamma, beta, zero, zero)
  )"));
  CHECK(run.Ops() == "Conv");
  CHECK(run.Constant("w").span<float>()[0] == 0.0f);
  CHECK(run.Constant("t_bias").span<float>()[0] == 0.25f);
  CHECK(OutputDifference(run.before, run.after()) < 2e-6);
}

TEST_CASE("weights keep their type") {
  for (const char* type : {"float16", "bfloat16", "float64"}) {
    INFO(type);
    const std::string body =
        StrCat(type, "[2,1,1,1] w = {1, -2}\n", type, "[2] gamma = {2, 3}\n", type,
               "[2] beta = {1, 1}\n", type, "[2] mean = {4, 6}\n", type, "[2] var = {3, 0}\n",
               "t = Conv(x, w)\ny = BatchNormalization<epsilon=1.0>(t, gamma, beta, mean, var)\n");
    const PassRun run =
        RunPass("bn_fold", Model(StrCat(type, "[1,1,2,2] x"), StrCat(type, " y"), body));
    CHECK(run.Ops() == "Conv");
    CHECK(DTypeName(run.Constant("w").dtype()) == type);
    CHECK(run.Constant("w").ToFloat().span<float>()[1] == -6.0f);
    CHECK(DTypeName(run.Constant("t_bias").dtype()) == type);
    CHECK(run.Constant("t_bias").ToFloat().span<float>()[1] == -17.0f);
  }
}

struct DeclineCase {
  std::string body;
  std::string reason;  // contained in the record
  int opset = 13;
};

TEST_CASE("what cannot be folded stays, with the reason") {
  const std::string w = "float32[4,4,3,3] w = random(5)\n", conv = w + "t = Conv(x, w)\n";
  const std::string bn = BatchNorm("bn", 4, "t", "y");
  const auto ahead = [&](const std::string& rest) { return BatchNorm("bn", 4, "x", "t") + rest; };
  const auto replaced = [](std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  const DeclineCase cases[] = {
      {BatchNorm("bn", 4, "x", "t") + "y = Relu(t)\n",
       "backward: no layer produces its input 'x'; forward: Relu producing 'y' after it: is not "
       "Conv, ConvTranspose, Gemm or MatMul"},
      {"t = Relu(x)\n" + bn, "backward: Relu producing 't' before it: is not Conv"},
      {BatchNorm("bn", 4, "x", "y"), "forward: its result is a graph output"},
      {conv + bn + "z = Relu(t)\n", "its input 't' has other readers"},
      {"t = Conv(x, v)\n" + bn, "before it: its weight is not a constant"},
      {conv + replaced(bn, "float32[4] bn_mean = random(3)\n", "bn_mean = Identity(bn_beta)\n"),
       "its parameter 'bn_mean' is not a constant"},
      {conv + BatchNorm("bn", 4, "t", "y", "<training_mode=1>"), "it is in training mode", 15},
      {conv + BatchNorm("bn", 4, "t", "y"), "it is in training mode", 6},
      {conv + BatchNorm("bn", 4, "t", "y, m1, m2, m3, m4"), "it has training outputs", 9},
      {conv + BatchNorm("bn", 4, "t", "y", "<spatial=0>"), "spatial=0", 8},
      {ahead(w + "y = Conv<pads=[1,1,1,1]>(t, w)\n"),
       "forward: Conv producing 'y' after it pads with zeros, which BN would shift"},
      {ahead(w + "y = Conv<auto_pad=\"SAME_UPPER\">(t, w)\n"), "pads with zeros"},
      {ahead("float32[4,4,2,2] w = random(5)\ny = ConvTranspose(t, w)\n"), "pads with zeros"},
      {ahead("float32[4,4,1,1] w = ones\ny = ConvTranspose<strides=[2,2]>(t, w)\n"),
       "pads with zeros"},
      {ahead(w + "y = Conv(t, w)\nz = Relu(t)\n"), "forward: its result has no reader or several"},
      {ahead(w + "y = Conv(v, t)\n"), "after it: its weight is not a constant"},
      {ahead("float32[8,5] w = random(5)\ny = MatMul(t, w)\n"),
       "the input of the MatMul after it may not be a matrix"},
      {ahead("float32[256,5] w = random(5)\nint64[2] s = {-1, 256}\n"
             "f = Reshape(t, s)\ny = Gemm(f, w)\n"),
       "after it: is not Conv"},
      {ahead("int64[8] p = {0,0,1,1,0,0,1,1}\nu = Pad(t, p)\n" + w + "y = Conv(u, w)\n"),
       "would need a different constant per channel"},
      {ahead("int64[8] p = {0,1,0,0,0,0,0,0}\nu = Pad(t, p)\nfloat32[4,5,3,3] w = random(5)\n"
             "y = Conv(u, w)\n"),
       "forward: node Pad producing 'u' adds channels"},
      {ahead("float32[4,5,3,3] w = random(5)\ny = Conv(t, w)\n"),
       "forward: Conv producing 'y' after it reads 5 channels, not 4"},
      {conv + "int64[8] p = {0,1,0,0,0,0,0,0}\nu = Pad(t, p)\n" + BatchNorm("bn", 5, "u", "y"),
       "backward: node Pad producing 'u' adds channels"},
      {conv + "u = Pad(t, k)\n" + BatchNorm("bn", 4, "u", "y"), "is not constant"},
      {replaced(conv, "random(5)", "fill(3e38)") + replaced(bn, "random(4, 0.5, 2)", "fill(1e-4)"),
       "exceeds its type"},
  };
  for (const DeclineCase& c : cases) {
    INFO(c.body);
    const PassRun run = RunPass(
        "bn_fold",
        Model("float32[2,4,8,8] x, float32[4,4,3,3] v, int64[8] k", "float32 y", c.body, c.opset));
    CHECK(run.outcome == Outcome::kUnchanged);
    CHECK_THAT(run.Reason("bn"), Catch::Contains(c.reason));
    CHECK(run.Metric("folded") == "0");
  }
}

TEST_CASE("intermediate values that are graph outputs stay") {
  const std::string body =
      "float32[4,4,3,3] w = random(5)\nt = Conv(x, w)\n" + BatchNorm("bn", 4, "t", "y");
  const PassRun run = RunPass("bn_fold", Model("float32[1,4,5,5] x", "float32 y, float32 t", body));
  CHECK(run.outcome == Outcome::kUnchanged);
  CHECK_THAT(run.Reason("bn"), Catch::Contains("its input 't' is a graph output"));
}

TEST_CASE("MatMul of unknown or higher rank in front of BN stays") {
  const PassRun run = RunPass("bn_fold", Model("float32[2,4,3] x", "float32 y",
                                               "float32[3,4] w = random(5)\nt = MatMul(x, w)\n" +
                                                   BatchNorm("bn", 4, "t", "y")));
  CHECK(run.outcome == Outcome::kUnchanged);
  CHECK_THAT(run.Reason("bn"), Catch::Contains("may not be a matrix"));
}

TEST_CASE("broken parameters are model errors that name the tensor") {
  const auto error = [](const std::string& gamma, const std::string& var, const std::string& w,
                        const std::string& b = "float32[2] b = zeros") {
    const Status status = PassError(
        "bn_fold",
        Model(
            "float32[1,1,2,2] x", "float32 y",
            StrCat("float32[2,1,1,1] w = ", w, "\n", b, "\nfloat32", gamma,
                   "\nfloat32[2] zero = zeros\n", "float32[2] var = ", var, "\nt = Conv(x, w, b)\n",
                   "[bn] y = BatchNormalization<epsilon=0.0>(t, gamma, zero, zero, var)\n")));
    CHECK(status.kind() == ErrorKind::kModel);
    return status.message();
  };
  const std::string gamma = "[2] gamma = ones";
  const std::string at = "node 'bn' (BatchNormalization): ";
  CHECK(error("[2] gamma = {nan, 1}", "ones", "ones") ==
        at + "tensor 'gamma' holds NaN or infinity");
  CHECK(error(gamma, "{1, inf}", "ones") == at + "tensor 'var' holds NaN or infinity");
  CHECK(error(gamma, "ones", "{1, -inf}") == at + "tensor 'w' holds NaN or infinity");
  CHECK(error(gamma, "ones", "ones", "float32[2] b = {0, nan}") ==
        at + "the bias of Conv producing 't' holds NaN or infinity");
  CHECK(error(gamma, "{1, 0}", "ones") ==
        at + "tensor 'var' holds the variance 0, which is not positive with epsilon 0");
  CHECK(error("[3] gamma = ones", "ones", "ones") == at + "its parameters differ in size");
  const Status channels =
      PassError("bn_fold", Model("float32[1,4,5,5] x", "float32 y",
                                 "float32[4,4,3,3] w = random(5)\n[conv] t = Conv(x, w)\n" +
                                     BatchNorm("bn", 5, "t", "y")));
  CHECK(channels.kind() == ErrorKind::kModel);
  CHECK(channels.message() == at + "it has 5 channels, but 'conv' (Conv) before it gives 4");
}

}  // namespace
}  // namespace roundel::passes
