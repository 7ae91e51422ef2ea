// Oracle: the mean over the data of the layer's output with rounded weights minus that with float
// weights, both by the engine. It must be zero after the pass.

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "passes/runner.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

using support::ParseModel;
using support::VectorSource;

// Batches of values around 1.5, so that rounding errors of weights do not average out.
VectorSource Shifted(const Shape& shape, bool constant_planes = false) {
  Random random(3);
  std::vector<Batch> batches;
  for (int i = 0; i < 4; ++i) {
    Batch batch;
    Tensor x = support::RandomTensor(shape, random, 0.5);
    const int64_t plane = shape.size() > 2 ? shape[2] * shape[3] : 1;
    for (int64_t k = 0; k < x.size(); ++k) {
      const int64_t from = constant_planes ? k / plane * plane : k;
      x.mutable_data<float>()[k] =
          constant_planes && k != from ? x.data<float>()[from] : x.data<float>()[k] + 1.5f;
    }
    batch.inputs = {x};
    batch.size = shape[0];
    batch.sample_names.assign(static_cast<size_t>(shape[0]), "sample");
    batches.push_back(std::move(batch));
  }
  return VectorSource(std::move(batches));
}

struct Corrected {
  Session session;
  report::Report report;
  graph::Model before;
};

std::unique_ptr<Corrected> Correct(const std::string& text, VectorSource* data, int times = 1,
                                   const std::string& target = "ort-cpu") {
  auto c = std::make_unique<Corrected>();
  c->session.model = ParseModel(text);
  c->before = graph::Clone(c->session.model);
  c->session.target = target::LoadProfile(target).value();
  c->session.grids = target::DefaultChoice(c->session.target);
  if (target == "ort-cpu") c->session.grids.weights.bits = 4;  // errors that are seen
  c->session.data = data;
  std::vector<recipe::Step> steps = {
      {"calibrate", recipe::Params(FindPass("calibrate")->params), 0}};
  for (int i = 0; i < times; ++i)
    steps.push_back({"bias_correct", recipe::Params(FindPass("bias_correct")->params), 0});
  const Status status = RunSteps(steps, {}, &c->session, &c->report);
  INFO(status.message());
  REQUIRE(status.ok());
  return c;
}

// By output channel (axis 1): the mean over the data of y.
std::vector<double> MeanOutput(const graph::Model& model, const quant::EncodingTable& weights,
                               VectorSource* data) {
  auto executor = engine::Executor::Create(model, {.simulate = &weights}).value();
  REQUIRE(data->Rewind().ok());
  std::vector<double> mean;
  int64_t count = 0;
  while (const auto batch = data->Next().value()) {
    const Tensor y = executor->Run(batch->inputs).value()[0];
    mean.resize(static_cast<size_t>(y.dim(1)));
    int64_t inner = 1;
    for (int64_t i = 2; i < y.rank(); ++i) inner *= y.dim(i);
    for (int64_t k = 0; k < y.size(); ++k) mean[k / inner % y.dim(1)] += y.data<float>()[k];
    count += y.size() / y.dim(1);
  }
  for (double& m : mean) m /= static_cast<double>(count);
  return mean;
}

// Largest mean error of a channel, relative to the largest mean.
double MeanError(const Corrected& c, const graph::Model& model, VectorSource* data) {
  quant::EncodingTable weights;
  for (const auto& [value, e] : c.session.encodings)
    if (e.role == quant::Role::kWeight) weights[value] = e;
  const auto exact = MeanOutput(c.before, {}, data), rounded = MeanOutput(model, weights, data);
  double error = 0, size = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    error = std::max(error, std::fabs(exact[i] - rounded[i]));
    size = std::max(size, std::fabs(exact[i]));
  }
  return error / size;
}

void CheckCorrects(const std::string& text, VectorSource data) {
  INFO(text);
  const auto c = Correct(text, &data);
  const double before = MeanError(*c, c->before, &data);
  CHECK(before > 1e-2);
  CHECK(MeanError(*c, c->session.model, &data) < 1e-5);
  // The new bias lies on the grid of the accumulator.
  const graph::Node& layer = **c->session.model.graph->nodes().begin();
  REQUIRE(c->session.encodings.contains(layer.input(2)));
  const quant::Encoding& bias = c->session.encodings.at(layer.input(2));
  CHECK(bias.grid.bits == 32);
  const quant::Encoding &x = c->session.encodings.at("x"), &w = c->session.encodings.at("w");
  for (size_t i = 0; i < bias.params.size(); ++i)
    CHECK(bias.params[i].scale == x.params[0].scale * w.params[i].scale);
}

TEST_CASE("the mean error of rounded weights moves into the bias") {
  CheckCorrects(R"(opset 13
    graph g (float32[N,6] x) => (float32[N,4] y) {
      float32[6,4] w = random(1)
      float32[4] b = random(2)
      y = Gemm(x, w, b)
    })",
                Shifted({8, 6}));
  CheckCorrects(R"(opset 13
    graph g (float32[N,6] x) => (float32[N,4] y) {
      float32[4,6] w = random(1)
      y = Gemm<transB=1>(x, w)
    })",
                Shifted({8, 6}));
  CheckCorrects(R"(opset 13
    graph g (float32[N,4,5,5] x) => (float32[N,6,3,3] y) {
      float32[6,2,3,3] w = random(1)
      y = Conv<kernel_shape=[3,3], group=2>(x, w)
    })",
                Shifted({8, 4, 5, 5}, true));
}

TEST_CASE("taps that fall into the padding count less") {
  // Planes of one value: what a tap adds on average is its share of the positions.
  CheckCorrects(R"(opset 13
    graph g (float32[N,4,5,7] x) => (float32[N,4,3,4] y) {
      float32[4,1,3,3] w = random(1)
      float32[4] b = random(2)
      y = Conv<kernel_shape=[3,3], pads=[1,0,1,2], strides=[2,2], group=4>(x, w, b)
    })",
                Shifted({8, 4, 5, 7}, true));
  CheckCorrects(R"(opset 13
    graph g (float32[N,3,6,6] x) => (float32[N,5,6,6] y) {
      float32[5,3,3,3] w = random(1)
      y = Conv<kernel_shape=[3,3], auto_pad="SAME_UPPER">(x, w)
    })",
                Shifted({8, 3, 6, 6}, true));
}

TEST_CASE("means that were not gathered with the ranges are gathered when they are asked for") {
  const std::string text = R"(opset 13
    graph g (float32[N,6] x) => (float32[N,4] y) {
      float32[6,4] w = random(1)
      float32[4] b = random(2)
      y = Gemm(x, w, b)
    })";
  VectorSource data = Shifted({8, 6});
  const auto together = Correct(text, &data);
  Session session;
  report::Report report;
  session.model = ParseModel(text);
  session.target = target::LoadProfile("ort-cpu").value();
  session.grids = target::DefaultChoice(session.target);
  session.grids.weights.bits = 4;
  session.data = &data;
  for (const char* pass : {"calibrate", "bias_correct"}) {
    const PassInfo* info = FindPass(pass);
    REQUIRE(RunSteps({{pass, recipe::Params(info->params), 0}}, {}, &session, &report).ok());
    if (pass == std::string("calibrate")) CHECK_FALSE(session.input_means);
  }
  CHECK(*session.model.graph->Constant("b") == *together->session.model.graph->Constant("b"));
}

TEST_CASE("a bias is corrected once, and what has none is declined") {
  const std::string gemm = R"(opset 13
    graph g (float32[N,6] x) => (float32[N,4] y) {
      float32[6,4] w = random(1)
      float32[4] b = random(2)
      [fc] y = Gemm(x, w, b)
    })";
  VectorSource data = Shifted({8, 6});
  const auto once = Correct(gemm, &data), twice = Correct(gemm, &data, 2);
  CHECK(*once->session.model.graph->Constant("b") == *twice->session.model.graph->Constant("b"));
  CHECK(twice->report.passes.back().outcome == "unchanged");
  CHECK(twice->report.passes.back().records.at(0).reason == "its bias was corrected before");

  const auto matmul = Correct(R"(opset 13
    graph g (float32[N,6] x) => (float32[N,4] y) {
      float32[6,4] w = random(1)
      [mm] y = MatMul(x, w)
    })",
                              &data);
  CHECK(matmul->report.passes.back().records.at(0).reason == "a MatMul has no bias");

  Session session;
  session.model = ParseModel(gemm);
  report::Report report;
  const Status early =
      RunSteps({{"bias_correct", recipe::Params(FindPass("bias_correct")->params), 0}}, {},
               &session, &report);
  CHECK(early.kind() == ErrorKind::kUsage);
  CHECK(early.message().find("after calibrate") != std::string::npos);
}

}  // namespace
TEST_CASE("the new bias of a target that wants floats has no grid") {
  const char* const text = R"(opset 13
graph g (float32[N,3,6,6] x) => (float32[N,4,6,6] y) {
  float32[4,3,1,1] w = random(1)
  y = Conv(x, w)
})";
  for (const char* target : {"tensorrt", "openvino"}) {
    INFO(target);
    VectorSource data = Shifted({2, 3, 6, 6});
    const auto c = Correct(text, &data, 1, target);
    const std::string bias = c->session.model.graph->nodes()[0]->input(2);
    REQUIRE(!bias.empty());
    CHECK_FALSE(c->session.encodings.contains(bias));
  }
}

TEST_CASE("scales of a grouped ConvTranspose serve the bias of every group") {
  const char* const text = R"(opset 13
graph g (float32[N,4,5,5] x) => (float32[N,6,5,5] y) {
  float32[4,3,1,1] w = random(1)
  y = ConvTranspose<group=2>(x, w)
})";
  VectorSource data = Shifted({2, 4, 5, 5});
  const auto c = Correct(text, &data, 1, "generic");
  const std::string value = c->session.model.graph->nodes()[0]->input(2);
  const quant::Encoding &x = c->session.encodings.at("x"), &w = c->session.encodings.at("w"),
                        &bias = c->session.encodings.at(value);
  REQUIRE(w.params.size() == 3);
  REQUIRE(bias.params.size() == 6);
  for (size_t i = 0; i < 6; ++i)
    CHECK(bias.params[i].scale == x.params[0].scale * w.params[i % 3].scale);
}

}  // namespace roundel::passes
