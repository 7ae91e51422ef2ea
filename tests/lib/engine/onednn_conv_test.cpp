
#include <algorithm>

#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

// What follows a convolution into y; `c` output channels. "" leaves the chain at the convolution.
struct Tail {
  const char* name;
  const char* initializers;
  const char* nodes;  // from t to y; RES is the residual input r
};

std::string ConvModel(const std::string& op, const std::string& attributes, const Shape& x,
                      const Shape& w, int64_t channels, bool bias, const std::string& initializers,
                      const std::string& nodes, const std::string& extra_input = "") {
  return StrCat("opset 14\ngraph g (float32[", Join(x), "] x", extra_input,
                ") => (float32 y) {\n  float32[", Join(w), "] w = random(3)\n",
                bias ? StrCat("  float32[", channels, "] b = random(4)\n") : "", initializers, "  ",
                nodes.empty() ? "y" : "t", " = ", op, "<", attributes, ">(x, w", bias ? ", b" : "",
                ")\n", nodes, "}\n");
}

TEST_CASE("Conv of awkward shapes runs fast and right") {
  struct Case {
    const char* attributes;
    Shape x, w;
  };
  const Case cases[] = {
      {"pads=[1,1,1,1]", {2, 3, 9, 7}, {17, 3, 3, 3}},
      {"pads=[1,1,1,1], strides=[2,2]", {1, 24, 8, 11}, {5, 24, 3, 3}},
      {"pads=[0,0,1,1], strides=[2,2]", {2, 3, 16, 16}, {16, 3, 3, 3}},
      {"pads=[0,1,2,3]", {1, 5, 6, 6}, {3, 5, 3, 3}},
      {"strides=[1,1]", {3, 17, 5, 5}, {24, 17, 1, 1}},
      {"strides=[2,2]", {1, 16, 7, 7}, {24, 16, 1, 1}},
      {"strides=[2,3], pads=[2,2,2,2], dilations=[2,2]", {1, 6, 13, 14}, {8, 6, 3, 3}},
      {"auto_pad=\"SAME_UPPER\", strides=[2,2]", {1, 3, 7, 8}, {4, 3, 3, 3}},
      {"auto_pad=\"SAME_LOWER\"", {1, 3, 7, 8}, {4, 3, 2, 2}},
      {"auto_pad=\"VALID\"", {1, 3, 7, 8}, {4, 3, 2, 3}},
      {"group=5, pads=[1,1,1,1]", {2, 5, 6, 6}, {5, 1, 3, 3}},
      {"group=24, pads=[1,1,1,1], strides=[2,2]", {2, 24, 7, 7}, {24, 1, 3, 3}},
      {"group=32, pads=[4,4,4,4], dilations=[4,4]", {1, 32, 10, 10}, {32, 1, 3, 3}},
      {"group=2, pads=[1,1,1,1]", {1, 6, 6, 6}, {10, 3, 3, 3}},
      {"group=4", {1, 64, 6, 6}, {64, 16, 3, 3}},
      {"group=3", {1, 3, 6, 6}, {6, 1, 3, 3}},
      {"pads=[2,2]", {2, 7, 19}, {9, 7, 5}},
      {"pads=[1,1,1,1,1,1], strides=[1,2,2]", {1, 3, 5, 6, 7}, {8, 3, 3, 3, 3}},
      {"kernel_shape=[1,1]", {1, 1, 1, 1}, {1, 1, 1, 1}},
      {"pads=[3,3,3,3]", {1, 4, 2, 2}, {4, 4, 7, 7}},
  };
  for (const Case& c : cases)
    for (const bool bias : {false, true})
      CheckOneFastStep(ConvModel("Conv", c.attributes, c.x, c.w, c.w[0], bias, "", ""),
                       {RandomTensor(c.x, 11)});
}

TEST_CASE("what follows a Conv is fused into it") {
  const std::string channel = "  float32[12,1,1] k = random(6, 0.5, 2)\n";
  const std::string norm =
      "  float32[12] gamma = random(5)\n  float32[12] beta = random(6)\n"
      "  float32[12] mean = random(7)\n  float32[12] var = random(8, 0.1, 2)\n";
  const std::string bounds = "  float32[] lo = {0}\n  float32[] hi = {0.5}\n";
  const std::string scalars = "  float32[] three = {3}\n  float32[] six = {0.166666666}\n";
  const Tail tails[] = {
      {"Relu", "", "  y = Relu(t)\n"},
      {"LeakyRelu", "", "  y = LeakyRelu<alpha=0.2>(t)\n"},
      {"Clip", bounds.c_str(), "  y = Clip(t, lo, hi)\n"},
      {"Clip without a bound", bounds.c_str(), "  y = Clip(t, \"\", hi)\n"},
      {"Sigmoid", "", "  y = Sigmoid(t)\n"},
      {"Tanh", "", "  y = Tanh(t)\n"},
      {"Elu", "", "  y = Elu<alpha=0.7>(t)\n"},
      {"HardSigmoid", "", "  y = HardSigmoid<alpha=0.3, beta=0.4>(t)\n"},
      {"HardSwish", "", "  y = HardSwish(t)\n"},
      {"Swish", "", "  s = Sigmoid(t)\n  y = Mul(t, s)\n"},
      {"gated", "", "  s = HardSigmoid<alpha=0.16666667, beta=0.5>(t)\n  y = Mul(s, t)\n"},
      {"BN", norm.c_str(), "  y = BatchNormalization(t, gamma, beta, mean, var)\n"},
      {"BN, Relu", norm.c_str(),
       "  u = BatchNormalization<epsilon=0.01>(t, gamma, beta, mean, var)\n  y = Relu(u)\n"},
      {"Mul, Add, Relu", channel.c_str(), "  u = Mul(t, k)\n  v = Add(k, u)\n  y = Relu(v)\n"},
      {"Div, Sub", channel.c_str(), "  u = Div(t, k)\n  y = Sub(k, u)\n"},
      {"Relu, Mul, Add", scalars.c_str(),
       "  u = Relu(t)\n  v = Mul(u, six)\n  y = Add(three, v)\n"},
  };
  const std::string attributes = "pads=[1,1,1,1]";
  for (const Tail& tail : tails) {
    INFO(tail.name);
    CheckOneFastStep(ConvModel("Conv", attributes, {2, 5, 6, 6}, {12, 5, 3, 3}, 12, true,
                               tail.initializers, tail.nodes),
                     {RandomTensor({2, 5, 6, 6}, 12)}, 1e-5);
    CheckOneFastStep(ConvModel("Conv", attributes + ", group=12", {2, 12, 6, 6}, {12, 1, 3, 3}, 12,
                               false, tail.initializers, tail.nodes),
                     {RandomTensor({2, 12, 6, 6}, 12)}, 1e-5);
  }
}

TEST_CASE("a residual is added inside the convolution") {
  for (const char* tail : {"  y = Add(t, r)\n", "  u = Add(r, t)\n  y = Relu(u)\n",
                           "  s = Relu(t)\n  y = Add(s, r)\n"})
    for (const char* attributes : {"", "group=2", "group=16"}) {
      const int64_t groups = attributes[0] == 0 ? 1 : std::atoi(attributes + 6);
      const std::string text = ConvModel("Conv", attributes, {2, 16, 5, 5}, {16, 16 / groups, 1, 1},
                                         16, true, "", tail, ", float32[2,16,5,5] r");
      const std::vector<Tensor> inputs = {RandomTensor({2, 16, 5, 5}, 1),
                                          RandomTensor({2, 16, 5, 5}, 2)};
      CheckOneFastStep(text, inputs);
      // The residual must be unharmed where it is the caller's.
      CHECK(inputs[1] == RandomTensor({2, 16, 5, 5}, 2));
    }
}

TEST_CASE("a residual that broadcasts is added all the same") {
  const std::string text = ConvModel("Conv", "", {2, 4, 5, 5}, {6, 4, 1, 1}, 6, true, "",
                                     "  u = Add(t, r)\n  y = Relu(u)\n", ", float32[2,6,1,1] r");
  const graph::Model model = ParseModel(text);
  CheckFastEqualsPlain(model, {RandomTensor({2, 4, 5, 5}, 1), RandomTensor({2, 6, 1, 1}, 2)});
}

TEST_CASE("the convolution's own input can be its residual, also where it would die") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32[2,8,6,6] x) => (float32 y) {
  float32[8,8,3,3] w = random(3)
  a = Relu(x)
  b = Conv<pads=[1,1,1,1]>(a, w)
  c = Add(b, a)
  d = Conv<pads=[1,1,1,1]>(c, w)
  e = Add(c, d)
  y = Tanh(e)
})");
  const auto executor = MustCreate(model);
  const auto plain = MustCreate(model, {.fast_kernels = false});
  for (uint64_t seed = 0; seed < 3; ++seed) {  // later runs use the planned arena
    const std::vector<Tensor> x = {RandomTensor({2, 8, 6, 6}, seed)};
    CHECK(RelativeError(MustRun(*executor, x)[0], MustRun(*plain, x)[0]) < 1e-5);
  }
}

TEST_CASE("values that must exist are not fused away") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32[1,3,6,6] x) => (float32 y, float32 t) {
  float32[4,3,3,3] w = random(3)
  t = Conv(x, w)
  u = Relu(t)
  y = Sigmoid(u)
})");
  const Tensor x = RandomTensor({1, 3, 6, 6}, 5);
  CHECK(FastCoverage(model, {x}).steps == 2);  // t is an output; Relu and Sigmoid join
  CheckFastEqualsPlain(model, {x});
  const auto executor = MustCreate(model, {.tapped_values = {"u"}});
  int calls = 0;
  MustRun(*executor, {x}, {{"u", true, [&](const TapView& view) {
                              ++calls;
                              CHECK(*std::min_element(view.data.begin(), view.data.end()) == 0);
                              return OkStatus();
                            }}});
  CHECK(calls == 1);
}

TEST_CASE("ConvTranspose of awkward shapes runs fast and right") {
  struct Case {
    const char* attributes;
    Shape x, w;
    int64_t channels;
  };
  const Case cases[] = {
      {"strides=[2,2]", {1, 3, 5, 6}, {3, 4, 2, 2}, 4},
      {"strides=[2,2], pads=[1,1,1,1]", {2, 16, 5, 5}, {16, 8, 4, 4}, 8},
      {"strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]", {1, 5, 4, 4}, {5, 7, 3, 3}, 7},
      {"pads=[0,1,1,0]", {1, 5, 4, 4}, {5, 3, 3, 3}, 3},
      {"group=2, strides=[2,2]", {1, 6, 4, 4}, {6, 5, 3, 3}, 10},
      {"group=8, strides=[2,2], pads=[1,1,1,1]", {1, 8, 4, 4}, {8, 1, 4, 4}, 8},
      {"dilations=[2,2]", {1, 4, 5, 5}, {4, 4, 3, 3}, 4},
      {"strides=[3]", {2, 4, 7}, {4, 5, 3}, 5},
      {"strides=[2,2,2]", {1, 3, 3, 3, 3}, {3, 4, 2, 2, 2}, 4},
  };
  for (const Case& c : cases)
    for (const char* tail : {"", "  y = Relu(t)\n"})
      CheckOneFastStep(
          ConvModel("ConvTranspose", c.attributes, c.x, c.w, c.channels, true, "", tail),
          {RandomTensor(c.x, 13)});
}

TEST_CASE("ConvTranspose: normalization folds into grouped weights") {
  const std::string norm =
      "  float32[10] gamma = random(5)\n  float32[10] beta = random(6)\n"
      "  float32[10] mean = random(7)\n  float32[10] var = random(8, 0.1, 2)\n";
  CheckOneFastStep(
      ConvModel("ConvTranspose", "group=2, strides=[2,2]", {1, 6, 4, 4}, {6, 5, 3, 3}, 10, true,
                norm, "  y = BatchNormalization(t, gamma, beta, mean, var)\n"),
      {RandomTensor({1, 6, 4, 4}, 13)}, 1e-5);
}

TEST_CASE("ConvTranspose with an output shape gives the plain kernel's result") {
  for (const char* attributes :
       {"output_shape=[10,9], strides=[2,2]", "auto_pad=\"SAME_UPPER\", strides=[2,2]"}) {
    const graph::Model model = ParseModel(
        ConvModel("ConvTranspose", attributes, {1, 3, 5, 5}, {3, 4, 3, 3}, 4, false, "", ""));
    CheckFastEqualsPlain(model, {RandomTensor({1, 3, 5, 5}, 1)});
  }
}

TEST_CASE("a Conv whose weights are computed runs too") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32[1,3,6,6] x, float32[4,3,3,3] w) => (float32 y) {
  v = Relu(w)
  t = Conv(x, v)
  y = Relu(t)
})");
  CheckFastEqualsPlain(model, {RandomTensor({1, 3, 6, 6}, 1), RandomTensor({4, 3, 3, 3}, 2)});
}

TEST_CASE("empty batches go through") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32[N,3,6,6] x) => (float32 y) {
  float32[4,3,3,3] w = random(3)
  t = Conv(x, w)
  y = Relu(t)
})");
  const auto executor = MustCreate(model);
  CHECK(MustRun(*executor, {Tensor::Zeros(DType::kFloat, {0, 3, 6, 6})})[0].shape() ==
        Shape{0, 4, 4, 4});
  CHECK(MustRun(*executor, {RandomTensor({2, 3, 6, 6}, 1)})[0].shape() == Shape{2, 4, 4, 4});
}

}  // namespace
}  // namespace roundel::engine
