// Oracle: the formulas in double, element by element.

#include "lib/tune/block_loss.h"

#include <cmath>

#include "lib/engine/executor.h"
#include "lib/grad/backward.h"
#include "lib/graph/text.h"
#include "lib/tune/losses.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel::tune {
namespace {

std::vector<double> Probabilities(const float* scores, int64_t classes) {
  double top = scores[0], sum = 0;
  for (int64_t c = 1; c < classes; ++c) top = std::max<double>(top, scores[c]);
  std::vector<double> p;
  for (int64_t c = 0; c < classes; ++c) p.push_back(std::exp(scores[c] - top));
  for (const double x : p) sum += x;
  for (double& x : p) x /= sum;
  return p;
}

// The loss and its gradient by y.
struct Expected {
  double loss = 0;
  std::vector<double> gradient;
};

Expected Divergence(const Tensor& y, const Tensor& target) {
  const int64_t classes = y.shape().back(), rows = y.size() / classes;
  Expected made;
  for (int64_t r = 0; r < rows; ++r) {
    const auto p = Probabilities(target.data<float>() + r * classes, classes);
    const auto q = Probabilities(y.data<float>() + r * classes, classes);
    for (size_t c = 0; c < p.size(); ++c) {
      made.loss += p[c] * (std::log(p[c]) - std::log(q[c])) / static_cast<double>(rows);
      made.gradient.push_back((q[c] - p[c]) / static_cast<double>(rows));
    }
  }
  return made;
}

Expected Squared(const Tensor& y, const Tensor& target, double power) {
  Expected made;
  for (int64_t i = 0; i < y.size(); ++i) {
    const double error = static_cast<double>(y.data<float>()[i]) - target.data<float>()[i];
    made.loss += error * error / (power * static_cast<double>(y.size()));
    made.gradient.push_back(2 * error / (power * static_cast<double>(y.size())));
  }
  return made;
}

TEST_CASE("losses and their gradients are those of the formulas, in every opset") {
  Random random(3);
  int ran = 0;
  for (const int64_t opset : {9, 11, 13, 18})
    for (const Shape& shape : std::vector<Shape>{{1, 2}, {5, 10}, {2, 3, 7}, {2, 1, 3, 4}})
      for (const LossKind kind : {LossKind::kDivergence, LossKind::kSquared}) {
        Tensor y = support::RandomTensor(shape, random), target = y;
        for (int64_t i = 0; i < y.size(); ++i) {
          y.mutable_data<float>()[i] *= 4;
          target.mutable_data<float>()[i] = static_cast<float>(3 * random.Normal());
        }
        graph::Model model;
        model.SetOpset("", opset);
        model.SetOpset("roundel", 1);
        AddFloatInput(model.graph.get(), "y", shape);
        AddFloatInput(model.graph.get(), "t", shape);
        Nodes nodes(model.graph.get(), "loss");
        const std::string loss = EmitLoss(
            &nodes, "y", "t", {.kind = kind, .power = 2.5, .classes = shape.back(), .share = 0.5});
        const auto gradient = grad::Backward(&model, loss, {"y"}).value();
        model.graph->outputs = {{.name = loss, .dtype = DType::kFloat},
                                {.name = gradient[0], .dtype = DType::kFloat}};
        for (const bool fast : {false, true}) {
          auto executor = engine::Executor::Create(model, {.fast_kernels = fast}).value();
          const auto found = executor->Run({y, target}).value();
          const Expected expected =
              kind == LossKind::kDivergence ? Divergence(y, target) : Squared(y, target, 2.5);
          CHECK(found[0].size() == 1);
          CHECK(std::fabs(found[0].data<float>()[0] - 0.5 * expected.loss) <
                1e-5 * std::max(1.0, expected.loss));
          for (int64_t i = 0; i < y.size(); ++i)
            CHECK(std::fabs(found[1].data<float>()[i] -
                            0.5 * expected.gradient[static_cast<size_t>(i)]) < 2e-6);
          ++ran;
        }
      }
  CHECK(ran == 64);
}

TEST_CASE("losses of values in parts are those of the whole") {
  Random random(5);
  const Tensor y = support::RandomTensor({6, 5}, random), t = support::RandomTensor({6, 5}, random);
  double power = 0;
  for (int64_t i = 0; i < t.size(); ++i) power += std::pow(t.data<float>()[i], 2) / 30;
  for (const LossKind kind : {LossKind::kDivergence, LossKind::kSquared}) {
    LossSum sum(kind, 5);
    for (const auto& [first, count] : {std::pair<size_t, size_t>{0, 10}, {10, 5}, {15, 15}})
      sum.Add(t.span<float>().subspan(first, count), y.span<float>().subspan(first, count));
    const double expected =
        kind == LossKind::kDivergence ? Divergence(y, t).loss : Squared(y, t, power).loss;
    CHECK(std::fabs(sum.value() - expected) < 1e-6);
  }
}

TEST_CASE("scores of classes are told from other outputs") {
  const auto model = graph::Parse(R"(opset 13
    graph g (float32[N,4] x, float32[N,3,8,8] image, float32[N,7,4] tokens)
        => (float32[N,3] scores, float32[N,1] one, float32[N,2,8,8] picture, float32[N,7,9] words,
            float32[N,7,5] boxes, float32[N,3] probabilities, float32[N,7,4] sums) {
      float32[4,3] w = random(1)
      float32[4,1] v = random(2)
      float32[2,3,1,1] k = random(3)
      float32[4,9] e = random(4)
      float32[9] b = random(5)
      float32[4,5] d = random(6)
      scores = MatMul(x, w)
      one = MatMul(x, v)
      picture = Conv(image, k)
      product = MatMul(tokens, e)
      words = Add(product, b)
      raw = MatMul(tokens, d)
      boxes = Sigmoid(raw)
      hidden = MatMul(x, w)
      probabilities = Softmax<axis=-1>(hidden)
      sums = Add(tokens, tokens)
    })");
  REQUIRE(model.ok());
  const graph::Graph& graph = *model->graph;
  CHECK(HoldsScores(graph, "scores", {2, 3}));
  CHECK(HoldsScores(graph, "hidden", {2, 3}));
  CHECK(HoldsScores(graph, "words", {2, 7, 9}));
  CHECK_FALSE(HoldsScores(graph, "one", {2, 1}));
  CHECK_FALSE(HoldsScores(graph, "picture", {2, 2, 8, 8}));
  CHECK_FALSE(HoldsScores(graph, "boxes", {2, 7, 5}));
  CHECK_FALSE(HoldsScores(graph, "raw", {2, 7, 5}));
  CHECK_FALSE(HoldsScores(graph, "sums", {2, 7, 4}));
}

}  // namespace
}  // namespace roundel::tune
