// Operators whose values are codes: the fast kernels against the plain ones, whose sums are exact.

#include "lib/fast/integer/linear.h"
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"
#include "tests/support/needs.h"

namespace roundel::engine {
namespace {

Tensor RandomBytes(DType type, const Shape& shape, uint64_t seed) {
  Tensor t = Tensor::Empty(type, shape);
  Random random(seed);
  auto* to = static_cast<uint8_t*>(t.mutable_raw());
  for (int64_t i = 0; i < t.size(); ++i) to[i] = static_cast<uint8_t>(random.Below(256));
  return t;
}

graph::Model WithWeights(const std::string& text, const Tensor& weights) {
  graph::Model model = ParseModel(text);
  model.graph->AddInitializer({.name = "w", .value = weights});
  return model;
}

// Sums of bytes are exact where the machine has a product for them, sums of floats nearly so.
double Tolerance() { return HasExactDotProduct() ? 1e-12 : kTolerance; }

void CheckOneStep(const graph::Model& model, const std::vector<Tensor>& inputs) {
  const Coverage coverage = FastCoverage(model, inputs);
  CHECK(coverage.steps == 1);
  CHECK(coverage.fast == 1);
  CheckFastEqualsPlain(model, inputs, {}, Tolerance());
}

struct ConvCase {
  Shape x, w;
  const char* attributes;
  int zero_point;
};
const ConvCase kConvs[] = {
    {{2, 3, 9, 8}, {5, 3, 3, 3}, "pads=[1,1,1,1]", 117},
    {{2, 3, 9, 8}, {5, 3, 3, 3}, "pads=[0,1,2,0], strides=[2,1]", 0},
    {{1, 16, 7, 7}, {16, 1, 3, 3}, "group=16, pads=[1,1,1,1]", 255},
    {{1, 12, 6, 5}, {8, 3, 1, 1}, "group=4", 3},
    {{3, 4, 30}, {6, 4, 5}, "pads=[2,2], dilations=[2]", 90},
    {{2, 6, 11, 11}, {4, 6, 3, 3}, "auto_pad=\"SAME_UPPER\", strides=[2,2]", 44},
    {{1, 1, 1, 1}, {1, 1, 1, 1}, "group=1", 9},
};

std::string Ones(const Shape& x, int64_t channels) {
  std::string text = StrCat("[", channels);
  for (size_t i = 2; i < x.size(); ++i) text += ",1";
  return text + "]";
}

TEST_CASE("ConvInteger, its scale, bias and activation are one step") {
  for (const ConvCase& c : kConvs)
    for (const char* type : {"uint8", "int8"}) {
      INFO(ShapeString(c.x) << ShapeString(c.w) << c.attributes << type);
      const std::string ones = Ones(c.x, c.w[0]);
      const bool is_signed = *type == 'i';
      const std::string text = StrCat(
          "opset 17\ngraph g (", type, ShapeString(c.x), " x, float32", ones,
          " s) => (float32 y) {\n float32", ones, " b = random(2)\n ", type, "[] z = {",
          c.zero_point - (is_signed ? 128 : 0), "}\n sum = ConvInteger<", c.attributes,
          ">(x, w, z)\n f = Cast<to=1>(sum)\n m = Mul(f, s)\n a = Add(m, b)\n y = Relu(a)\n}");
      const graph::Model model = WithWeights(text, RandomBytes(DType::kInt8, c.w, 5));
      Shape scale(c.x.size() - 1, 1);
      scale[0] = c.w[0];
      CheckOneStep(model, {RandomBytes(is_signed ? DType::kInt8 : DType::kUint8, c.x, 3),
                           RandomTensor(scale, 4, 0.001, 0.01)});
    }
}

TEST_CASE("MatMulInteger, its scale, bias and what is added to it are one step") {
  for (const Shape& rows : {Shape{1}, Shape{7}, Shape{2, 5}, Shape{64}}) {
    Shape x = rows, y = rows;
    x.push_back(37);
    y.push_back(19);
    INFO(ShapeString(x));
    const std::string text = StrCat("opset 17\ngraph g (uint8", ShapeString(x),
                                    " x, uint8[] z, float32[] s, float32", ShapeString(y),
                                    R"( r) => (float32 y) {
  float32[19] b = random(2)
  uint8[] v = {128}
  sum = MatMulInteger(x, w, z, v)
  f = Cast<to=1>(sum)
  m = Mul(s, f)
  a = Add(b, m)
  y = Add(a, r)
})");
    const graph::Model model = WithWeights(text, RandomBytes(DType::kUint8, {37, 19}, 5));
    CheckOneStep(model, {RandomBytes(DType::kUint8, x, 3), RandomBytes(DType::kUint8, {}, 6),
                         Tensor::Scalar(0.0037f), RandomTensor(y, 4)});
  }
}

TEST_CASE("sums without a scale, and weights that fit no int8, give what the plain kernels give") {
  for (const char* zero : {"", ", z, v"}) {
    const graph::Model model =
        WithWeights(StrCat(R"(opset 17
graph g (uint8[2,6,5,5] x) => (int32 y, float32 t) {
  uint8[] z = {100}
  uint8[] v = {30}
  y = ConvInteger<pads=[1,1,1,1]>(x, w)",
                           zero, R"()
  f = Cast<to=1>(y)
  c = Relu(f)
  t = Transpose<perm=[0,2,3,1]>(c)
})"),
                    RandomBytes(*zero ? DType::kUint8 : DType::kInt8, {4, 6, 3, 3}, 5));
    CheckFastEqualsPlain(model, {RandomBytes(DType::kUint8, {2, 6, 5, 5}, 3)}, {}, Tolerance());
  }
}

TEST_CASE("weights and zero points that no product of codes may have are errors of the model") {
  for (const char* constants :
       {"uint8[] w = {157} uint8[] v = {3}", "uint8[5] w = zeros uint8[] v = {3}",
        "int8[2,3] w = zeros float32[] v = {0.5}", "int8[4,2,1,1] w = zeros float32[] v = {0.5}",
        "int8[4,2,1,1] w = zeros string[] v = {\"a\"}", "int8[4,2,1,1] w = zeros int8[0] v = {}"})
    for (const char* op : {"ConvInteger", "MatMulInteger"})
      for (const bool fast : {false, true}) {
        INFO(op << " " << constants << (fast ? " fast" : " plain"));
        const graph::Model model = ParseModel(
            StrCat("opset 17\ngraph g (uint8[3,2,4,4] x) => (int32 y) { uint8[] u = {7} ",
                   constants, " y = ", op, "(x, w, u, v) }"));
        const auto executor = Executor::Create(model, {.fast_kernels = fast});
        REQUIRE(executor.ok());
        const auto result = (*executor)->Run({RandomBytes(DType::kUint8, {3, 2, 4, 4}, 1)});
        REQUIRE_FALSE(result.ok());
        CHECK(result.status().kind() == ErrorKind::kModel);
      }
}

TEST_CASE("a range found at run time crosses layouts") {
  for (const double scale : {0.0, 1.0, 300.0}) {
    graph::Model model = ParseModel(R"(opset 17
graph g (float32[2,3,7,6] x) => (float32 y, uint8 q, float32 s, uint8 z) {
  float32[8,3,3,3] v = random(1)
  c = Conv<pads=[1,1,1,1]>(x, v)
  q, s, z = DynamicQuantizeLinear(c)
  n = ConvInteger<pads=[1,1,1,1]>(q, w, z)
  f = Cast<to=1>(n)
  y = Mul(f, s)
})");
    model.graph->AddInitializer({.name = "w", .value = RandomBytes(DType::kInt8, {5, 8, 3, 3}, 5)});
    const auto fast = MustRun(*MustCreate(model), {RandomTensor({2, 3, 7, 6}, 3, -scale, scale)});
    // The same floats, quantized by the plain kernel.
    const graph::Model quantize = ParseModel(R"(opset 17
graph g (float32[2,3,7,6] x) => (float32 c) {
  float32[8,3,3,3] v = random(1)
  c = Conv<pads=[1,1,1,1]>(x, v)
})");
    const Tensor c =
        MustRun(*MustCreate(quantize), {RandomTensor({2, 3, 7, 6}, 3, -scale, scale)})[0];
    const auto plain = MustRun(*MustCreate(ParseModel(R"(opset 17
graph g (float32[2,8,7,6] c) => (uint8 q, float32 s, uint8 z) {
  q, s, z = DynamicQuantizeLinear(c)
})"),
                                           {.fast_kernels = false}),
                               {c});
    for (size_t i = 0; i < 3; ++i) CHECK(fast[i + 1] == plain[i]);
  }
}

TEST_CASE("operators on codes run as the pairs that they stand for") {
  if (support::SkippedWithoutByteDots(HasExactDotProduct())) return;
  graph::Model model = ParseModel(R"(opset 17, com.microsoft 1
graph g (float32[2,4,9,9] x) => (float32 y) {
  float32[] sx = {0.021}
  uint8[] zx = {119}
  float32[6] sw = {0.01, 0.02, 0.03, 0.011, 0.013, 0.017}
  int8[6] zw = zeros
  int32[6] b = {-300, 5, 1000, 0, 77, 12}
  float32[] sy = {0.33}
  uint8[] zy = {0}
  float32[] sz = {0.41}
  uint8[] zz = {131}
  float32[] so = {0.0039}
  xq = QuantizeLinear(x, sx, zx)
  c = QLinearConv<pads=[1,1,1,1]>(xq, sx, zx, w, sw, zw, sy, zy, b)
  p = MaxPool<kernel_shape=[2,2]>(c)
  g = com.microsoft.QLinearSigmoid(p, sy, zy, so, zy)
  m = com.microsoft.QLinearMul(p, sy, zy, g, so, zy, sy, zy)
  a = com.microsoft.QLinearAdd(m, sy, zy, p, sy, zy, sz, zz)
  j = com.microsoft.QLinearConcat<axis=1>(sz, zz, a, sz, zz, p, sy, zy)
  h = com.microsoft.QLinearGlobalAveragePool(j, sz, zz, sz, zz)
  f = Flatten(h)
  y = DequantizeLinear(f, sz, zz)
})");
  model.graph->AddInitializer({.name = "w", .value = RandomBytes(DType::kInt8, {6, 4, 3, 3}, 5)});
  const Tensor x = RandomTensor({2, 4, 9, 9}, 9, -2, 2);
  CheckFastEqualsPlain(model, {x}, {}, 1e-12);
  const Coverage coverage = FastCoverage(model, {x});
  CHECK(coverage.fast + 1 >= coverage.steps);  // all but Flatten
}

TEST_CASE("codes that come from outside, or whose floats others read, go on as codes") {
  const graph::Model model = ParseModel(R"(opset 17
graph g (uint8[2,4,9,9] q, float32[2,4,9,9] x) => (float32 y, float32 r) {
  float32[] s = {0.021}
  uint8[] z = {119}
  float32[] t = {0.05}
  d = DequantizeLinear(q, s, z)
  r = Relu(x)
  rq = QuantizeLinear(r, s, z)
  rd = DequantizeLinear(rq, s, z)
  a = Add(d, rd)
  aq = QuantizeLinear(a, t, z)
  y = DequantizeLinear(aq, t, z)
})");
  const auto plan = BuildPlan(model, {});
  REQUIRE(plan.ok());
  CHECK(plan->slots[plan->slot_of.at("d")].as_codes);
  CHECK(plan->slots[plan->slot_of.at("rd")].as_codes);
  // The runtime's sum of codes breaks ties in its own way: one step of 0.05.
  constexpr double kOneStep = 0.012;
  CheckFastEqualsPlain(
      model, {RandomBytes(DType::kUint8, {2, 4, 9, 9}, 3), RandomTensor({2, 4, 9, 9}, 9, -2, 2)},
      {}, kOneStep);
}

}  // namespace
}  // namespace roundel::engine
