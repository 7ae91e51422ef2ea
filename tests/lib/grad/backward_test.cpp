// What Backward does with whole graphs: sums over uses, zeros, unused parts, errors, and networks of
// real kind.

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "lib/grad/rules.h"
#include "tests/lib/grad/grad_check.h"

namespace roundel::grad {
namespace {

// The gradients of `wrt` on the inputs, by plain kernels.
std::vector<Tensor> GradientsOf(const graph::Model& forward, const std::string& loss,
                                const std::vector<std::string>& wrt,
                                const std::vector<Tensor>& inputs) {
  graph::Model model = graph::Clone(forward);
  const auto names = Backward(&model, loss, wrt);
  INFO((names.ok() ? "" : names.status().message()));
  REQUIRE(names.ok());
  model.graph->outputs.clear();
  for (const std::string& name : *names)
    model.graph->outputs.push_back({.name = name, .dtype = DType::kFloat});
  return RunModel(model, inputs);
}

std::string WhyNot(const std::string& node, int opset = 13) {
  const graph::Model model = support::ParseModel(
      StrCat("opset ", opset, "\ngraph g (float32[2,3] x) => (float32 y) {\n", node, "\n}"));
  return WhyNoGradient(model, *model.graph->nodes().back());
}

}  // namespace

TEST_CASE("inputs that are sizes, indices or frozen statistics have no gradient") {
  const graph::Model model = support::ParseModel(R"(opset 13
    graph g (float32[2,3,4] x) => (float32[?] y, float32[?] z, float32[?] s) {
      float32[3] c = {1, 2, 3}
      float32[3] sizes = {1, 1, 2}
      int64[2] shape = {6, 4}
      y = BatchNormalization(x, c, c, c, c)
      z = Resize(x, "", sizes)
      s = Reshape(x, shape)
    })");
  const auto has = [&](size_t node, size_t input) {
    return HasGradient(*model.graph->nodes()[node], input);
  };
  CHECK((has(0, 0) && has(0, 1) && has(0, 2)));
  CHECK_FALSE((has(0, 3) || has(0, 4) || has(1, 2) || has(2, 1)));
  CHECK((has(1, 0) && has(2, 0)));
  CHECK_FALSE(has(0, 100));
}

TEST_CASE("uses of one value sum, and values that the loss does not need get zeros") {
  const graph::Model model = support::ParseModel(R"(opset 13
    graph g (float32[3] x, float32[2,2] unused, float32[3] ignored) => (float32 l) {
      a = Mul(x, x)
      b = Add(a, x)
      c = Add(b, x)
      d = Exp(ignored)
      l = ReduceSum<keepdims=0>(c)
    })");
  const std::vector<Tensor> gradients =
      GradientsOf(model, "l", {"x", "unused", "ignored", "a", "l", "x"},
                  {Tensor::FromVector<float>({3}, {1, 2, -3}), Tensor::Zeros(DType::kFloat, {2, 2}),
                   Tensor::Zeros(DType::kFloat, {3})});
  CHECK(gradients[0] == Tensor::FromVector<float>({3}, {4, 6, -4}));
  CHECK(gradients[1] == Tensor::Zeros(DType::kFloat, {2, 2}));
  CHECK(gradients[2] == Tensor::Zeros(DType::kFloat, {3}));
  CHECK(gradients[3] == Tensor::FromVector<float>({3}, {1, 1, 1}));
  CHECK(gradients[4] == Tensor::Scalar(1.0f));
  CHECK(gradients[5] == gradients[0]);
}

TEST_CASE("forward nodes stay, and only nodes between a trained value and the loss get gradients") {
  graph::Model model = support::ParseModel(R"(opset 13
    graph g (float32[2,3] x, float32[3,4] w1, float32[4,2] w2) => (float32 l) {
      int64[] i = {1}
      t = CumSum(x, i)
      a = MatMul(t, w1)
      h = Relu(a)
      b = MatMul(h, w2)
      l = ReduceMean<keepdims=0>(b)
    })");
  const std::string before = graph::Print(model);
  REQUIRE(Backward(&model, "l", {"w2"}).ok());
  std::vector<std::string> added;
  for (const auto& node : model.graph->nodes())
    if (node->name.starts_with("grad/")) added.push_back(node->op_type);
  // No gradient of h, and none through the operator that has no rule.
  CHECK(added == std::vector<std::string>{"FillLike", "ReduceMeanGrad", "FlattenRows",
                                          "FlattenRows", "FusedMatMul"});
  model.graph->RemoveNodes([](const graph::Node& node) { return node.name.starts_with("grad/"); });
  CHECK(model.Opset("roundel") == 1);
  model.opset_imports.resize(1);
  CHECK(graph::Print(model) == before);
}

TEST_CASE("an operator without a rule is named, with its node") {
  graph::Model model = support::ParseModel(R"(opset 13
    graph g (float32[2,3] x, float32[3,3] w) => (float32 l) {
      a = MatMul(x, w)
      [sorter] t = CumSum(a, a)
      l = ReduceMean<keepdims=0>(t)
    })");
  const auto result = Backward(&model, "l", {"w"});
  REQUIRE_FALSE(result.ok());
  CHECK(result.status().kind() == ErrorKind::kModel);
  CHECK_THAT(result.status().message(),
             Catch::Contains("'sorter'") && Catch::Contains("CumSum has no gradient rule"));
  const auto missing = Backward(&model, "nowhere", {"w"});
  REQUIRE_FALSE(missing.ok());
  CHECK_THAT(missing.status().message(), Catch::Contains("'nowhere'"));
  CHECK_FALSE(Backward(&model, "l", {"nothing"}).ok());
}

TEST_CASE("reasons why a node has no gradient") {
  CHECK(WhyNot("y = Relu(x)").empty());
  CHECK(WhyNot("y = Shape(x)").empty());
  CHECK(WhyNot("y = Cast<to=7>(x)").empty());
  CHECK(WhyNot("y = CumSum(x, x)") == "CumSum has no gradient rule");
  CHECK(WhyNot("y = x.y.Relu(x)") == "x.y.Relu has no gradient rule");
  CHECK(WhyNot("y = ArgMax(x)") == "the result of ArgMax is an index, which has no gradient");
  CHECK_THAT(WhyNot("y = BatchNormalization<training_mode=1>(x, x, x, x, x)", 14),
             Catch::Contains("training mode"));
  CHECK_THAT(WhyNot("y = Cast<to=10>(x)"), Catch::Contains("float16"));
}

TEST_CASE("docs/gradients.md lists every operator with a rule") {
  std::ifstream file(ROUNDEL_SOURCE_DIR "/docs/gradients.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::regex word("[A-Za-z0-9]+");
  const std::string docs = text.str();
  const std::set<std::string> words(std::sregex_token_iterator(docs.begin(), docs.end(), word), {});
  for (const RuleRow& row : RuleTable()) {
    if (!row.rule || std::string(row.domain) == "roundel") continue;
    INFO(row.op_type);
    CHECK(words.contains(row.op_type));
  }
}

TEST_CASE("paths end at sizes, indices and conditions") {
  CheckGradients("float32[2,3] x, float32[4,3] t", R"(
    s = Shape(x)
    r = Tanh(x)
    q = Reshape(r, s)
    p = Greater(q, x)
    w = Where(p, q, r)
    i = Cast<to=7>(x)
    g = Gather(t, i)
    e = Tanh(g)
    o = ReduceSum<keepdims=0>(e)
    y = Add(w, o))");
}

TEST_CASE("the gradient of a linear layer is twice its weight error times the Gram matrix") {
  Draw draw(4);
  const Tensor x = draw.Values({5, 3}), w = draw.Values({3, 2}), q = draw.Values({3, 2});
  const graph::Model model = support::ParseModel(R"(opset 13
    graph g (float32[5,3] x, float32[3,2] w, float32[3,2] q) => (float32 l) {
      t = MatMul(x, w)
      y = MatMul(x, q)
      d = Sub(y, t)
      e = Mul(d, d)
      l = ReduceSum<keepdims=0>(e)
    })");
  const Tensor gradient = GradientsOf(model, "l", {"q"}, {x, w, q})[0];
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t j = 0; j < 2; ++j) {
      double expected = 0;  // 2 H (W^ - W), H = X^T X
      for (int64_t k = 0; k < 3; ++k)
        for (int64_t n = 0; n < 5; ++n)
          expected += 2.0 * x.data<float>()[n * 3 + i] * x.data<float>()[n * 3 + k] *
                      (q.data<float>()[k * 2 + j] - w.data<float>()[k * 2 + j]);
      CHECK(gradient.data<float>()[i * 2 + j] == Approx(expected).margin(1e-5));
    }
}

TEST_CASE("fake quantizers pass gradients to values, scales and zero points") {
  // On the grid the residuals are 0, so that y follows x inside of the range.
  const graph::Model model = support::ParseModel(R"(opset 13, roundel 1
    graph g (float32[4] x, float32[] s, float32[] z) => (float32 l) {
      q = roundel.FakeQuant<qmin=0, qmax=3>(x, s, z)
      y = Mul(q, q)
      l = ReduceSum<keepdims=0>(y)
    })");
  const std::vector<Tensor> gradients =
      GradientsOf(model, "l", {"x", "s", "z"},
                  {Tensor::FromVector<float>({4}, {-3, -0.5f, 0.5f, 4}), Tensor::Scalar(0.5f),
                   Tensor::Scalar(1.0f)});
  CHECK(gradients[0] == Tensor::FromVector<float>({4}, {0, -1, 1, 0}));
  CHECK(gradients[1] == Tensor::Scalar(2 * -0.5f * -1 + 2 * 1.0f * 2));  // outside: 2 x^ q
  CHECK(gradients[2] == Tensor::Scalar(-0.5f * (2 * -0.5f + 2 * 1.0f)));
}

TEST_CASE("gradients of a small residual network") {
  CheckGradients(
      "float32[2,3,9,8] x, float32[4,3,3,3] w1, float32[4] b1, float32[4,1,3,3] w2, "
      "float32[8,4,1,1] w3, float32[8,4,1,1] w4, float32[5,8] w5, float32[5] b5",
      R"(
    float32[] low = {-2}
    float32[] high = {2}
    float32[8] g = {1, 0.5, 2, 1, 1, 1.5, 1, 1}
    float32[8] m = zeros
    c1 = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w1, b1)
    a1 = Sigmoid(c1)
    c2 = Conv<pads=[2,2,2,2], dilations=[2,2], group=4>(a1, w2)
    a2 = Clip(c2, low, high)
    c3 = Conv(a2, w3)
    n3 = BatchNormalization(c3, g, m, m, g)
    c4 = Conv(a1, w4)
    r = Add(n3, c4)
    h = HardSwish(r)
    p = AveragePool<kernel_shape=[2,2], strides=[2,2]>(h)
    q = GlobalAveragePool(p)
    s = HardSigmoid(q)
    e = Mul(s, p)
    t = GlobalAveragePool(e)
    f = Flatten(t)
    y = Gemm<transB=1>(f, w5, b5))",
      {.elements = 5}, 14);
}

}  // namespace roundel::grad
