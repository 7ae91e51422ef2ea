// Fast kernels that are loops of our own: element-wise nodes, normalization, Concat, Transpose; and
// the change of layout.

#include <algorithm>

#include "lib/fast/value.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

// `body` from c (channels-last, as a Conv leaves it) and x (plain) to y.
std::string AfterConv(const std::string& body) {
  return StrCat(R"(opset 14
graph g (float32[2,5,4,6] x) => (float32 y) {
  float32[5,5,1,1] w = random(3)
)",
                body, "\n}");
}

TEST_CASE("layouts hold the same elements in their own order") {
  const Shape shape = {2, 19, 3, 7};
  const Tensor plain = RandomTensor(shape, 1);
  std::vector<float> last(static_cast<size_t>(plain.size())), back(last.size());
  ConvertLayout(shape, plain.data<float>(), Layout::kPlain, last.data());
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t c = 0; c < 19; ++c)
      for (int64_t p = 0; p < 21; ++p)
        REQUIRE(last[(n * 21 + p) * 19 + c] == plain.data<float>()[(n * 19 + c) * 21 + p]);
  ConvertLayout(shape, last.data(), Layout::kChannelsLast, back.data());
  CHECK(std::equal(back.begin(), back.end(), plain.data<float>()));
  CHECK(PhysicalShape(shape, Layout::kChannelsLast) == Shape{2, 3, 7, 19});
  CHECK(PhysicalAxis(1, 4, Layout::kChannelsLast) == 3);
  CHECK(PhysicalAxis(3, 4, Layout::kChannelsLast) == 2);
  CHECK(LayoutsCoincide({4, 9, 1, 1}));
  CHECK(LayoutsCoincide({4, 1, 3, 2}));
  CHECK_FALSE(LayoutsCoincide({4, 2, 3, 1}));
}

TEST_CASE("element-wise nodes run fast, alone and in chains") {
  for (const char* node : {"Relu", "LeakyRelu<alpha=0.3>", "Sigmoid", "Tanh", "Elu<alpha=2.0>",
                           "HardSwish", "HardSigmoid", "Exp", "Abs", "Neg"})
    CheckOneFastStep(
        StrCat("opset 14\ngraph g (float32[3,7] x) => (float32 y) {\n  y = ", node, "(x)\n}"),
        {RandomTensor({3, 7}, 1, -4, 4)}, 1e-5);
  // Gelu as exporters write it out, behind a layer.
  for (const char* gelu :
       {"  d = Div(t, r)\n  e = Erf(d)\n  a = Add(e, one)\n  m = Mul(t, a)\n  y = Mul(m, half)\n",
        "  h = Mul(t, half)\n  d = Mul(t, q)\n  e = Erf(d)\n  a = Add(one, e)\n  y = Mul(h, a)\n",
        "  d = Div(t, r)\n  e = Erf(d)\n  a = Add(e, one)\n  g = Mul(half, a)\n  y = Mul(g, t)\n",
        "  d = Div(t, r)\n  e = Erf(d)\n  a = Add(e, one)\n  y = Mul(t, a)\n", "  y = Erf(t)\n"})
    CheckOneFastStep(
        StrCat("opset 13\ngraph g (float32[3,7] x) => (float32 y) {\n  float32[7,5] w = random(3)\n"
               "  float32[] r = {1.4142135}\n  float32[] q = {0.70710677}\n  float32[] one = {1}\n"
               "  float32[1] half = {0.5}\n  t = MatMul(x, w)\n",
               gelu, "}"),
        {RandomTensor({3, 7}, 1, -3, 3)}, 4e-6);
  // Not quite: another divisor, or a value that something else reads.
  for (const char* other :
       {"  d = Div(t, half)\n  e = Erf(d)\n  a = Add(e, one)\n  y = Mul(t, a)\n",
        "  d = Div(t, r)\n  e = Erf(d)\n  a = Add(e, one)\n  m = Mul(t, a)\n  y = Add(m, e)\n",
        "  d = Div(t, r)\n  e = Erf(d)\n  a = Add(e, one)\n  y = Mul(x, a)\n"})
    CheckFastEqualsPlain(
        ParseModel(StrCat("opset 13\ngraph g (float32[3,5] x) => (float32 y) {\n"
                          "  float32[5,5] w = random(3)\n  float32[] r = {1.4142135}\n"
                          "  float32[] one = {1}\n  float32[1] half = {0.5}\n  t = MatMul(x, w)\n",
                          other, "}")),
        {RandomTensor({3, 5}, 1, -3, 3)}, {}, 4e-6);
  CheckOneFastStep("opset 20\ngraph g (float32[3,7] x) => (float32 y) {\n  y = Gelu(x)\n}",
                   {RandomTensor({3, 7}, 1, -4, 4)}, 1e-5);
  CheckOneFastStep(R"(opset 14
graph g (float32[3,70000] x) => (float32 y) {
  float32[1] three = {3}
  float32[] zero = {0}
  float32[] six = {6}
  a = Add(x, three)
  b = Clip(a, zero, six)
  c = Div(b, six)
  d = Sub(three, c)
  e = Elu<alpha=0.5>(d)
  f = Elu<alpha=1.5>(e)
  y = Sqrt(f)
})",
                   {RandomTensor({3, 70000}, 1, -4, 4)}, 1e-5);
}

TEST_CASE("Clip bounds that cross or are computed are left to the plain kernel") {
  CheckFastEqualsPlain(ParseModel(R"(opset 14
graph g (float32[9] x, float32[] low) => (float32 y, float32 z) {
  float32[] one = {1}
  float32[] minus = {-1}
  y = Clip(x, one, minus)
  z = Clip(x, low)
})"),
                       {RandomTensor({9}, 1, -3, 3), Tensor::Scalar(0.5f)});
}

TEST_CASE("a scalar of rank one raises the rank of what it meets") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32[] x) => (float32 y) {
  float32[1] three = {3}
  a = Relu(x)
  y = Add(a, three)
})");
  CHECK(MustRun(*MustCreate(model), {Tensor::Scalar(2.0f)})[0].shape() == Shape{1});
}

TEST_CASE("two values of one shape, whatever their layouts") {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Min", "Max"})
    for (const char* operands : {"c, x", "x, c", "c, c", "c, d"}) {
      const std::string text = AfterConv(
          StrCat("  c = Conv(x, w)\n  d = Sigmoid(x)\n  e = MaxPool<kernel_shape=[1,1]>(c)"
                 "\n  t = ",
                 op, "(", operands, ")\n  u = Relu(t)\n  y = Add(u, e)"));
      INFO(text);
      CheckFastEqualsPlain(ParseModel(text), {RandomTensor({2, 5, 4, 6}, 1, 0.5, 2)}, {}, 1e-5);
    }
}

TEST_CASE("broadcasting against channels-last values") {
  const char* others[] = {"float32[2,5,1,1]", "float32[1,5,1,1]", "float32[5,1,1]",
                          "float32[4,6]",     "float32[6]",       "float32[2,1,4,6]",
                          "float32[1,5,4,6]", "float32[5,4,6]",   "float32[1]",
                          "float32[4,1]",     "float32[2,1,1,1]"};
  for (const char* other : others)
    for (const char* order : {"c, k", "k, c"}) {
      const std::string text = AfterConv(StrCat("  ", other,
                                                " k = random(9, 1, 2)\n  c0 = Conv(x, w)\n"
                                                "  c = MaxPool<kernel_shape=[1,1]>(c0)\n  t = Div(",
                                                order, ")\n  y = Relu(t)"));
      INFO(text);
      CheckFastEqualsPlain(ParseModel(text), {RandomTensor({2, 5, 4, 6}, 1, 0.5, 2)}, {}, 1e-4);
    }
  const std::string gate =
      AfterConv("  c = Conv(x, w)\n  m = GlobalAveragePool(c)\n  s = Sigmoid(m)\n  y = Mul(c, s)");
  CheckFastEqualsPlain(ParseModel(gate), {RandomTensor({2, 5, 4, 6}, 1)});
}

// (x - mean) / sqrt(variance + epsilon) as exporters write it out.
std::string WrittenNorm(const char* square, const char* quotient, const char* axes) {
  return StrCat(
      "opset 13\ngraph g (float32[2,3,20] x) => (float32 y) {\n  float32[] two = {2}\n"
      "  float32[] e = {0.00001}\n  float32[] one = {1}\n  float32[20] gamma = random(3)\n"
      "  float32[20] beta = random(4)\n  m = ReduceMean<axes=[",
      axes, "]>(x)\n  d = Sub(x, m)\n  s = ", square, "\n  v = ReduceMean<axes=[", axes,
      "]>(s)\n  a = Add(v, e)\n  r = Sqrt(a)\n  ", quotient,
      "\n  g = Mul(n, gamma)\n  y = Add(g, beta)\n}");
}

TEST_CASE("layer normalization, as one operator and written out") {
  const Tensor x = RandomTensor({2, 3, 20}, 1, 4, 6);
  for (const char* square : {"Pow(d, two)", "Mul(d, d)"})
    for (const char* quotient : {"n = Div(d, r)", "q = Reciprocal(r)\n  n = Mul(d, q)",
                                 "q = Div(one, r)\n  n = Mul(q, d)"})
      CheckOneFastStep(WrittenNorm(square, quotient, "-1"), {x}, 1e-5);
  CheckOneFastStep(R"(opset 17
graph g (float32[2,3,20] x) => (float32 y) {
  float32[20] gamma = random(3)
  float32[20] beta = random(4)
  y = LayerNormalization<epsilon=0.001>(x, gamma, beta)
})",
                   {x}, 1e-5);
  // Other axes, a value that something else reads, or that is no square: left in pieces.
  CheckFastEqualsPlain(ParseModel(WrittenNorm("Pow(d, two)", "n = Div(d, r)", "1")), {x}, {}, 1e-5);
  CheckFastEqualsPlain(ParseModel(WrittenNorm("Mul(d, x)", "n = Div(d, r)", "-1")),
                       {RandomTensor({2, 3, 20}, 1, 4, 40)}, {}, 1e-4);
  CheckFastEqualsPlain(ParseModel(WrittenNorm("Mul(d, d)", "k = Div(d, r)\n  n = Add(k, m)", "-1")),
                       {x}, {}, 1e-5);
}

TEST_CASE("RMS normalization written out, with and without a scale") {
  const Tensor x = RandomTensor({2, 3, 20}, 1, -6, 6);
  for (const char* scale :
       {"  y = Mul(gamma, n)\n", "  y = Identity(n)\n", "  y = Mul(n, wide)\n"}) {
    const std::string text = StrCat(
        "opset 18\ngraph g (float32[2,3,20] x) => (float32 y) {\n  float32[] two = {2}\n"
        "  int64[1] last = {-1}\n  float32[] e = {0.00001}\n  float32[20] gamma = random(3)\n"
        "  float32[3,1] wide = random(3)\n  s = Pow(x, two)\n  v = ReduceMean(s, last)\n"
        "  a = Add(v, e)\n  r = Sqrt(a)\n  n = Div(x, r)\n",
        scale, "}");
    CheckFastEqualsPlain(ParseModel(text), {x}, {}, 1e-5);
    CHECK(FastCoverage(ParseModel(text), {x}).steps <= 2);
  }
}

TEST_CASE("both operands broadcast") {
  CheckFastEqualsPlain(ParseModel(R"(opset 14
graph g (float32[3,1] a, float32[1,4] b) => (float32 y) {
  y = Add(a, b)
})"),
                       {RandomTensor({3, 1}, 1), RandomTensor({1, 4}, 2)});
}

TEST_CASE("BatchNormalization by itself, in both layouts and at rank two") {
  const std::string parameters =
      "  float32[5] gamma = random(5)\n  float32[5] beta = random(6)\n"
      "  float32[5] mean = random(7)\n  float32[5] var = random(8, 0.1, 2)\n";
  CheckOneFastStep(AfterConv(parameters + "  t = BatchNormalization(x, gamma, beta, mean, var)\n"
                                          "  y = Relu(t)"),
                   {RandomTensor({2, 5, 4, 6}, 1)}, 1e-5);
  CheckFastEqualsPlain(
      ParseModel(AfterConv(parameters + "  c = Conv(x, w)\n  m = MaxPool<kernel_shape=[2,2]>(c)\n"
                                        "  t = BatchNormalization(m, gamma, beta, mean, var)\n"
                                        "  y = Tanh(t)")),
      {RandomTensor({2, 5, 4, 6}, 1)}, {}, 1e-5);
  CheckOneFastStep(StrCat("opset 14\ngraph g (float32[3,5] x) => (float32 y) {\n", parameters,
                          "  y = BatchNormalization(x, gamma, beta, mean, var)\n}"),
                   {RandomTensor({3, 5}, 1)}, 1e-5);
}

TEST_CASE("Concat along every axis") {
  for (int axis = -4; axis < 4; ++axis) {
    const std::string text =
        AfterConv(StrCat("  c = Conv(x, w)\n  d = Sigmoid(x)\n  t = Concat<axis=", axis,
                         ">(c, d, c)\n  y = MaxPool<kernel_shape=[1,1]>(t)"));
    INFO(text);
    CheckFastEqualsPlain(ParseModel(text), {RandomTensor({2, 5, 4, 6}, 1)});
  }
}

TEST_CASE("transposes to and from channels-last move nothing") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32[2,4,6,5] x) => (float32 y, float32 z) {
  float32[3,5,1,1] w = random(3)
  t = Transpose<perm=[0,3,1,2]>(x)
  c = Conv(t, w)
  y = Transpose<perm=[0,2,3,1]>(c)
  z = Transpose<perm=[3,2,1,0]>(c)
})");
  const Tensor x = RandomTensor({2, 4, 6, 5}, 1);
  const Coverage coverage = FastCoverage(model, {x});
  CHECK(coverage.steps == 4);
  CHECK(coverage.fast == 3);
  CheckFastEqualsPlain(model, {x});
}

TEST_CASE("Reshape of a channels-last value sees logical order") {
  CheckFastEqualsPlain(ParseModel(AfterConv("  int64[2] s = {2, 120}\n  c = Conv(x, w)\n"
                                            "  t = Reshape(c, s)\n  y = Relu(t)")),
                       {RandomTensor({2, 5, 4, 6}, 1)});
  CheckFastEqualsPlain(ParseModel(AfterConv("  c = Conv(x, w)\n  m = GlobalMaxPool(c)\n"
                                            "  t = Flatten(m)\n  y = Softmax(t)")),
                       {RandomTensor({2, 5, 4, 6}, 1)});
}

}  // namespace
}  // namespace roundel::engine
