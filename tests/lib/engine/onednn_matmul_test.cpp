
#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

TEST_CASE("MatMul by constant weights runs fast and right") {
  for (const Shape& x : {Shape{1, 7}, Shape{5, 7}, Shape{2, 3, 7}, Shape{2, 1, 4, 7}})
    for (const int64_t columns : {1, 3, 16, 33})
      CheckOneFastStep(
          StrCat("opset 14\ngraph g (float32[", Join(x), "] x) => (float32 y) {\n  float32[7,",
                 columns, "] w = random(3)\n  y = MatMul(x, w)\n}"),
          {RandomTensor(x, 1)});
}

TEST_CASE("bias, scale and activation are fused into MatMul") {
  CheckOneFastStep(R"(opset 14
graph g (float32[2,5,7] x) => (float32 y) {
  float32[7,6] w = random(3)
  float32[6] b = random(4)
  float32[] half = {0.5}
  t = MatMul(x, w)
  u = Add(b, t)
  v = Mul(u, half)
  y = Relu(v)
})",
                   {RandomTensor({2, 5, 7}, 1)});
}

TEST_CASE("a residual is added to MatMul") {
  CheckOneFastStep(R"(opset 14
graph g (float32[2,5,7] x, float32[2,5,6] r) => (float32 y) {
  float32[7,6] w = random(3)
  float32[6] b = random(4)
  t = MatMul(x, w)
  u = Add(b, t)
  y = Add(r, u)
})",
                   {RandomTensor({2, 5, 7}, 1), RandomTensor({2, 5, 6}, 2)});
}

TEST_CASE("a constant of higher rank raises the rank of the result") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32[5,7] x) => (float32 y) {
  float32[7,6] w = random(3)
  float32[1,1,6] b = random(4)
  t = MatMul(x, w)
  y = Add(b, t)
})");
  const Tensor x = RandomTensor({5, 7}, 1);
  CheckFastEqualsPlain(model, {x});
  CHECK(MustRun(*MustCreate(model), {x})[0].shape() == Shape{1, 5, 6});
}

TEST_CASE("Gemm runs fast and right") {
  for (const char* attributes : {"transB=0", "transB=1", "transB=1, alpha=0.5, beta=2.0"})
    for (const char* bias :
         {"", "float32[6] c = random(4)", "float32[1,6] c = random(4)", "float32[] c = {0.3}"}) {
      const bool transposed = std::string(attributes).find("transB=1") != std::string::npos;
      for (const bool relu : {false, true})
        CheckOneFastStep(StrCat("opset 14\ngraph g (float32[4,7] x) => (float32 y) {\n  float32[",
                                transposed ? "6,7" : "7,6", "] w = random(3)\n  ", bias, "\n  ",
                                relu ? "t" : "y", " = Gemm<", attributes, ">(x, w",
                                *bias ? ", c" : "", ")\n", relu ? "  y = Relu(t)\n" : "", "}"),
                         {RandomTensor({4, 7}, 1)});
    }
}

TEST_CASE("Gemm in its rarer forms gives the plain kernel's result") {
  const char* models[] = {
      "float32[7,6] w = random(3)\n float32[4,6] c = random(4)\n y = Gemm(x, w, c)",
      "float32[7,6] w = random(3)\n float32[4,1] c = random(4)\n y = Gemm(x, w, c)",
      "float32[4,6] w = random(3)\n y = Gemm<transA=1>(x, w)",
      "z = Relu(x)\n y = Gemm<transB=1>(x, z)"};
  for (const char* body : models) {
    INFO(body);
    const graph::Model model =
        ParseModel(StrCat("opset 14\ngraph g (float32[4,7] x) => (float32 y) {\n", body, "\n}"));
    CheckFastEqualsPlain(model, {RandomTensor({4, 7}, 1)});
  }
}

TEST_CASE("MatMul of two computed values broadcasts its leading axes") {
  struct Case {
    Shape a, b;
  };
  const Case cases[] = {
      {{4, 7}, {7, 5}},       {{2, 4, 7}, {2, 7, 5}}, {{2, 3, 4, 7}, {2, 3, 7, 1}},
      {{3, 1, 7}, {1, 7, 5}}, {{1, 4, 7}, {6, 7, 5}}, {{2, 3, 4, 7}, {3, 7, 5}},
      {{4, 7}, {2, 7, 5}}};
  for (const Case& c : cases)
    CheckOneFastStep(StrCat("opset 14\ngraph g (float32[", Join(c.a), "] a, float32[", Join(c.b),
                            "] b) => (float32 y) {\n  float32[] s = {0.25}\n  t = MatMul(a, b)\n"
                            "  y = Mul(t, s)\n}"),
                     {RandomTensor(c.a, 1), RandomTensor(c.b, 2)});
}

TEST_CASE("a residual that repeats is added to MatMul: masks, rows, columns, single values") {
  const std::string text = R"(opset 14
graph g (float32 a, float32 b, float32 mask) => (float32 y) {
  float32[] root = {4}
  product = MatMul(a, b)
  scaled = Div(product, root)
  y = Add(scaled, mask)
})";
  const Tensor a = RandomTensor({2, 3, 17, 8}, 1), b = RandomTensor({2, 3, 8, 19}, 2);
  for (const Shape& shape : std::vector<Shape>{{1, 1, 17, 19},
                                               {17, 19},
                                               {2, 1, 1, 19},
                                               {19},
                                               {},
                                               {2, 3, 17, 1},
                                               {1, 3, 17, 19},
                                               {2, 3, 17, 19}})
    CheckOneFastStep(text, {a, b, RandomTensor(shape, 3)});
  // Larger than the product: the result has another shape.
  CheckFastEqualsPlain(ParseModel(text), {RandomTensor({17, 8}, 1), RandomTensor({8, 19}, 2),
                                          RandomTensor({2, 17, 19}, 3)});
}

TEST_CASE("MatMul of vectors gives the plain kernel's result") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32[7] a, float32[7,3] b, float32[3] c) => (float32 y, float32 z) {
  float32[7] w = random(3)
  t = MatMul(a, b)
  y = MatMul(t, c)
  z = MatMul(a, w)
})");
  CheckFastEqualsPlain(model,
                       {RandomTensor({7}, 1), RandomTensor({7, 3}, 2), RandomTensor({3}, 3)});
}

TEST_CASE("matrices that do not fit together are named in the error") {
  for (const bool fast : {true, false}) {
    const graph::Model model = ParseModel(R"(opset 14
graph g (float32 a, float32 b) => (float32 y) {
  [product] y = MatMul(a, b)
})");
    const auto executor = MustCreate(model, {.fast_kernels = fast});
    const auto result = executor->Run({RandomTensor({4, 7}, 1), RandomTensor({6, 5}, 2)});
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().kind() == ErrorKind::kModel);
    CHECK_THAT(result.status().message(), Catch::Contains("product") && Catch::Contains("MatMul") &&
                                              Catch::Contains("[4, 7]") &&
                                              Catch::Contains("[6, 5]"));
  }
}

}  // namespace
}  // namespace roundel::engine
