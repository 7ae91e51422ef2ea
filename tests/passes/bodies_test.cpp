// Passes on nodes inside If, Loop and Scan.

#include <cmath>

#include "lib/graph/bodies.h"
#include "passes/runner.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

using support::ParseModel;
using support::VectorSource;

struct Ran {
  Session session;
  report::Report report;
  std::string Reason(const std::string& subject, const std::string& action) const {
    for (const report::PassReport& pass : report.passes)
      for (const report::Record& record : pass.records)
        if (record.subject.find(subject) != std::string::npos && record.action == action)
          return record.reason;
    return "(none)";
  }
};

std::unique_ptr<Ran> Run(const std::string& text, const std::vector<std::string>& passes,
                         std::vector<Tensor> samples,
                         target::ActivationMode mode = target::ActivationMode::kStatic) {
  auto ran = std::make_unique<Ran>();
  ran->session.model = ParseModel(text);
  ran->session.target = target::LoadProfile("ort-cpu").value();
  ran->session.grids = target::DefaultChoice(ran->session.target);
  ran->session.grids.mode = mode;
  std::vector<Batch> batches;
  for (Tensor& sample : samples) {
    Batch batch;
    batch.size = 1;
    batch.inputs = {std::move(sample)};
    batch.sample_names = {"s"};
    batches.push_back(std::move(batch));
  }
  VectorSource data(std::move(batches));
  ran->session.data = &data;
  std::vector<recipe::Step> steps;
  for (const std::string& pass : passes)
    steps.push_back({pass, recipe::Params(FindPass(pass)->params), 0});
  const Status status = RunSteps(steps, {}, &ran->session, &ran->report);
  ran->session.data = nullptr;
  INFO(status.message());
  REQUIRE(status.ok());
  return ran;
}

// s doubles in each of three rounds.
constexpr const char* kDoubling = R"(opset 13
graph g (float32[1,2] x) => (? y) {
  int64[] three = {3}
  bool[] yes = {1}
  y = Loop<body=graph l (int64[] i, bool[] go, ? s) => (bool[] go2, ? s2) {
      float32[2,2] w = {2, 0, 0, 2}
      go2 = Identity(go)
      s2 = MatMul(s, w)
    }>(three, yes, x)
})";

TEST_CASE("calibrate sees every round of a loop") {
  const auto ran = Run(kDoubling, {"calibrate"}, {Tensor::FromVector<float>({1, 2}, {-1, 3})});
  const auto& table = ran->session.encodings;
  // What comes in is x, 2x and 4x, what goes out 2x, 4x and 8x: 255 steps of the widest range.
  REQUIRE(table.contains("s"));
  REQUIRE(table.contains("s2"));
  CHECK(table.at("s").params[0].scale == Approx(16.0 / 255));
  CHECK(table.at("s2").params[0].scale == Approx(32.0 / 255));
  REQUIRE(table.contains("w"));
  CHECK(table.at("w").granularity == quant::Granularity::kChannel);
}

TEST_CASE("a branch that no sample takes keeps float activations, and that is said") {
  const char* const text = R"(opset 13
graph g (float32[1,2] x) => (? y) {
  float32[2,2] w = {1, 2, 3, 4}
  float32[] much = {1000}
  sum = ReduceSum<keepdims=0>(x)
  flag = Greater(sum, much)
  y = If<then_branch=graph t () => (? o) { o = MatMul(x, w) },
         else_branch=graph e () => (? p) { p = MatMul(x, w) }>(flag)
})";
  const auto ran = Run(text, {"calibrate"}, {Tensor::FromVector<float>({1, 2}, {-1, 3})});
  const auto& table = ran->session.encodings;
  CHECK(table.contains("p"));
  CHECK_FALSE(table.contains("o"));
  CHECK(table.contains("w"));
  CHECK(ran->Reason("o", "left float") == "no sample of the data gives it a value");
  REQUIRE(ran->report.passes[0].warnings.size() == 1);
  CHECK(ran->report.passes[0].warnings[0].find("('o', ...), which stay float") !=
        std::string::npos);
}

TEST_CASE("batch normalizations inside of bodies are folded, means of their inputs taken") {
  const char* const text = R"(opset 13
graph g (float32[1,2,4,4] x) => (? y) {
  float32[] border = {0}
  sum = ReduceSum<keepdims=0>(x)
  flag = Greater(sum, border)
  y = If<then_branch=graph t () => (? o) {
      float32[3,2,3,3] w = random(1)
      float32[3] scale = {1, 2, 3}
      float32[3] shift = {0.5, 0, -1}
      float32[3] mean = {0.1, 0.2, 0.3}
      float32[3] var = {1, 4, 9}
      c = Conv<pads=[1,1,1,1]>(x, w)
      n = BatchNormalization(c, scale, shift, mean, var)
      o = Relu(n)
    }, else_branch=graph e () => (? p) {
      float32[3,2,1,1] v = random(2)
      p = Conv(x, v)
    }>(flag)
})";
  Random random(4);
  std::vector<Tensor> samples;
  for (int i = 0; i < 4; ++i) samples.push_back(support::RandomTensor({1, 2, 4, 4}, random, 1.0));
  const auto ran = Run(text, {"bn_fold", "calibrate", "bias_correct"}, samples);
  const auto flat = graph::WithBodies(ran->session.model);
  for (const graph::NodePtr& node : flat->nodes()) CHECK_FALSE(node->Is("BatchNormalization"));
  CHECK(graph::HasBodies(*ran->session.model.graph));
  CHECK(ran->report.passes[0].outcome == "changed");
  CHECK(ran->Reason("Conv", "corrected") != "(none)");
  CHECK(ran->session.input_means->contains("x"));
}

TEST_CASE("constants move between layers inside of bodies by what the data shows there") {
  const char* const text = R"(opset 13
graph g (float32[1,2,4,4] x) => (? y) {
  float32[] border = {0}
  sum = ReduceSum<keepdims=0>(x)
  flag = Greater(sum, border)
  y = If<then_branch=graph t () => (? o) {
      float32[2,2,1,1] w = {1, 0, 0, 1}
      float32[2] b = {50, 60}
      float32[3,2,1,1] v = random(2)
      c = Conv(x, w, b)
      r = Relu(c)
      o = Conv(r, v)
    }, else_branch=graph e () => (? p) {
      float32[3,2,1,1] u = random(3)
      p = Conv(x, u)
    }>(flag)
})";
  // c is x + b, and x reaches from -2 to 3: without its least value the bias is 2, for both
  // channels.
  std::vector<float> values(32, 3.0f);
  values[0] = values[16] = -2;
  const auto ran =
      Run(text, {"high_bias_absorb"}, {Tensor::FromVector<float>({1, 2, 4, 4}, values)});
  CHECK(ran->Reason("Conv", "absorbed") != "(none)");
  const Tensor* bias = graph::ConstantInBodies(*ran->session.model.graph, "b");
  REQUIRE(bias);
  CHECK(bias->data<float>()[0] == Approx(2));
  CHECK(bias->data<float>()[1] == Approx(2));
  CHECK(graph::HasBodies(*ran->session.model.graph));
}

TEST_CASE("solvers leave layers inside of bodies to the nearest code and say so") {
  const auto ran =
      Run(kDoubling, {"calibrate", "optimal_rounding"},
          {Tensor::FromVector<float>({1, 2}, {-1, 3})}, target::ActivationMode::kFloat);
  CHECK(ran->Reason("s2", "declined") ==
        "is inside of a sub-graph; its weights are rounded to nearest");
}

}  // namespace
}  // namespace roundel::passes
