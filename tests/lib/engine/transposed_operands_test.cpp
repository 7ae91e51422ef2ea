// Products of computed matrices, either or both transposed: as the gradients of layers have them.

#include "tests/lib/engine/engine_test_support.h"
#include "tests/support/catch.h"

namespace roundel::engine {
namespace {

// [rows, columns], or the shape of its transpose.
Shape Matrix(Shape lead, int64_t rows, int64_t columns, bool transposed) {
  lead.push_back(transposed ? columns : rows);
  lead.push_back(transposed ? rows : columns);
  return lead;
}

const char* Swap(size_t rank) {
  return rank == 2 ? "perm=[1,0]" : rank == 3 ? "perm=[0,2,1]" : "perm=[0,1,3,2]";
}

TEST_CASE("Gemm of two computed matrices runs fast and right") {
  for (const bool a : {false, true})
    for (const bool b : {false, true})
      for (const char* addend : {"", "float32[6]", "float32[4,6]", "float32[4,1]", "float32[]"})
        for (const char* more : {"", ", alpha=0.5"}) {
          const Shape left = Matrix({}, 4, 37, a), right = Matrix({}, 37, 6, b);
          const std::string text =
              StrCat("opset 14\ngraph g (float32 a, float32 b",
                     *addend ? StrCat(", ", addend, " c") : std::string(),
                     ") => (float32 y) {\n  t = Gemm<transA=", int{a}, ", transB=", int{b}, more,
                     ">(a, b", *addend ? ", c" : "", ")\n  y = Relu(t)\n}");
          std::vector<Tensor> inputs = {RandomTensor(left, 1), RandomTensor(right, 2)};
          const Shape shapes[] = {{6}, {4, 6}, {4, 1}, {}};
          const std::string names[] = {"float32[6]", "float32[4,6]", "float32[4,1]", "float32[]"};
          for (size_t i = 0; i < 4; ++i)
            if (addend == names[i]) inputs.push_back(RandomTensor(shapes[i], 3));
          CheckOneFastStep(text, inputs);
        }
}

TEST_CASE("the rarer forms of Gemm give the plain kernel's result") {
  for (const char* nodes :
       {"y = Gemm<beta=0.5>(a, b, c)", "t = Gemm(a, b, c)\n  u = Relu(t)\n  y = Add(u, c)",
        "t = Gemm(a, b, c)\n  y = Add(t, c)", "t = Gemm<alpha=2.0>(a, b)\n  y = Add(t, c)"})
    CheckFastEqualsPlain(
        ParseModel(
            StrCat("opset 14\ngraph g (float32 a, float32 b, float32 c) => (float32 y) {\n  ",
                   nodes, "\n}")),
        {RandomTensor({4, 7}, 1), RandomTensor({7, 6}, 2), RandomTensor({4, 6}, 3)});
}

TEST_CASE("MatMul reads transposed operands in place") {
  for (const Shape& lead : {Shape{}, Shape{3}, Shape{2, 3}})
    for (const bool a : {false, true})
      for (const bool b : {false, true}) {
        const size_t rank = lead.size() + 2;
        const std::string text = StrCat(
            "opset 14\ngraph g (float32 a, float32 b) => (float32 y) {\n  float32[] half = {0.5}\n",
            a ? StrCat("  s = Transpose<", Swap(rank), ">(a)\n") : std::string(),
            b ? StrCat("  t = Transpose<", Swap(rank), ">(b)\n") : std::string(), "  p = MatMul(",
            a ? "s" : "a", ", ", b ? "t" : "b", ")\n  y = Mul(p, half)\n}");
        CheckOneFastStep(text, {RandomTensor(Matrix(lead, 5, 33, a), 1),
                                RandomTensor(Matrix(lead, 33, 18, b), 2)});
      }
}

TEST_CASE("Gemm takes the Transpose of an operand into its flags") {
  for (const char* nodes : {"y = Gemm(s, t)", "y = Gemm<transA=1>(a, t)",
                            "y = Gemm<transB=1>(s, b)", "y = Gemm<transA=1, transB=1>(a, b)"}) {
    const std::string text =
        StrCat("opset 14\ngraph g (float32 a, float32 b) => (float32 y) {\n",
               "  s = Transpose<perm=[1,0]>(a)\n  t = Transpose<perm=[1,0]>(b)\n  ", nodes, "\n}");
    CheckOneFastStep(text, {RandomTensor({33, 5}, 1), RandomTensor({18, 33}, 2)});
  }
}

TEST_CASE("a Transpose with other readers, taps or axes stays") {
  const Tensor a = RandomTensor({2, 5, 9}, 1), b = RandomTensor({2, 5, 9}, 2);
  const graph::Model both = ParseModel(R"(opset 14
graph g (float32 a, float32 b) => (float32 y, float32 z) {
  t = Transpose<perm=[0,2,1]>(b)
  y = MatMul(a, t)
  z = Relu(t)
})");
  CheckFastEqualsPlain(both, {a, b});
  const graph::Model one = ParseModel(R"(opset 14
graph g (float32 a, float32 b) => (float32 y) {
  t = Transpose<perm=[0,2,1]>(b)
  y = MatMul(a, t)
})");
  int64_t seen = 0;
  const Tap tap{"t", false, [&](const TapView& view) {
                  seen = static_cast<int64_t>(view.data.size());
                  return OkStatus();
                }};
  MustRun(*MustCreate(one, {.tapped_values = {"t"}}), {a, b}, {tap});
  CHECK(seen == 90);
  CheckFastEqualsPlain(ParseModel(R"(opset 14
graph g (float32 a, float32 b) => (float32 y) {
  t = Transpose<perm=[1,2,0]>(b)
  y = MatMul(a, t)
})"),
                       {RandomTensor({5, 4, 9}, 1), RandomTensor({2, 5, 9}, 2)});
}

TEST_CASE("quantized values between Transpose and MatMul stay quantized") {
  const graph::Model model = ParseModel(R"(opset 14
graph g (float32 a, float32 b) => (float32 y) {
  t = Transpose<perm=[1,0]>(b)
  y = MatMul(a, t)
})");
  quant::EncodingTable table;
  table["t"] = {.grid = {.bits = 4}, .params = {{0.5f, 8}}};
  CheckFastEqualsPlain(model, {RandomTensor({5, 9}, 1), RandomTensor({6, 9}, 2)},
                       {.simulate = &table});
}

TEST_CASE("FusedMatMul runs fast and right") {
  CheckOneFastStep(R"(opset 14, com.microsoft 1
graph g (float32 a, float32 b, float32 mask) => (float32 y) {
  t = com.microsoft.FusedMatMul<transB=1, alpha=0.3>(a, b)
  y = Add(t, mask)
})",
                   {RandomTensor({2, 3, 5, 9}, 1), RandomTensor({2, 3, 7, 9}, 2),
                    RandomTensor({2, 1, 1, 7}, 3)});
  CheckFastEqualsPlain(ParseModel(R"(opset 14, com.microsoft 1
graph g (float32 a, float32 b) => (float32 y) {
  y = com.microsoft.FusedMatMul<transBatchA=1>(a, b)
})"),
                       {RandomTensor({5, 2, 3, 9}, 1), RandomTensor({2, 3, 9, 4}, 2)});
}

}  // namespace
}  // namespace roundel::engine
