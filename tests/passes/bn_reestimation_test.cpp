// Oracles: regression in plain double loops, the normal equations of least squares on outputs of
// the engine, and the data itself.

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "tests/support/layerwise.h"

namespace roundel::passes {
namespace {

using quant::Granularity;
using support::CorrelatedSource;
using support::kManyLayers;
using support::OutputError;
using support::Round;
using support::Rounded;
using support::RoundedOptions;
using support::VectorSource;

constexpr char kGemm[] = R"(opset 13
  graph g (float32[N,6] x) => (float32[N,4] y) {
    float32[6,4] w = random(1)
    float32[4] b = random(2)
    [fc] y = Gemm(x, w, b)
  })";

RoundedOptions Options(int bits, const std::string& held_out = "0") {
  RoundedOptions options{.params = {{"held_out", held_out}}};
  options.grid.bits = bits;
  return options;
}

std::vector<std::vector<double>> Rows(VectorSource* data, int64_t width) {
  std::vector<std::vector<double>> rows;
  REQUIRE(data->Rewind().ok());
  while (const auto batch = data->Next().value())
    for (int64_t i = 0; i < batch->size; ++i) {
      const float* row = batch->inputs[0].data<float>() + i * width;
      rows.emplace_back(row, row + width);
    }
  return rows;
}

double Dot(const std::vector<double>& x, const Tensor& w, size_t channel) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i)
    sum += x[i] * w.data<float>()[i * static_cast<size_t>(w.dim(1)) + channel];
  return sum;
}

// By channel on axis 1: pairs of an output of the float model, and of the model after the pass.
struct Pairs {
  std::vector<double> y, z;

  static double Mean(const std::vector<double>& v) {
    double sum = 0;
    for (const double x : v) sum += x;
    return sum / static_cast<double>(v.size());
  }
  double Covariance(const std::vector<double>& a, const std::vector<double>& b) const {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - Mean(a)) * (b[i] - Mean(b));
    return sum;
  }
  double Error() const {
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += (y[i] - z[i]) * (y[i] - z[i]);
    return sum;
  }
};

std::vector<Pairs> OutputPairs(const Rounded& r, VectorSource* data, int64_t every = 1) {
  auto exact = engine::Executor::Create(r.before, {.fast_kernels = false}).value();
  auto rounded = engine::Executor::Create(r.session.model,
                                          {.simulate = &r.session.encodings, .fast_kernels = false})
                     .value();
  std::vector<Pairs> pairs;
  int64_t sample = 0;
  REQUIRE(data->Rewind().ok());
  while (const auto batch = data->Next().value()) {
    const Tensor y = exact->Run(batch->inputs).value()[0];
    const Tensor z = rounded->Run(batch->inputs).value()[0];
    const int64_t channels = y.dim(1), size = y.size() / y.dim(0), inner = size / channels;
    pairs.resize(static_cast<size_t>(channels));
    for (int64_t i = 0; i < y.size(); ++i) {
      if ((sample + i / size) % every != every - 1) continue;
      pairs[static_cast<size_t>(i / inner % channels)].y.push_back(y.data<float>()[i]);
      pairs[static_cast<size_t>(i / inner % channels)].z.push_back(z.data<float>()[i]);
    }
    sample += batch->size;
  }
  return pairs;
}

TEST_CASE("scales and biases take up the regression of the float on the quantized output") {
  VectorSource data = CorrelatedSource({16, 6}, 8, 3);
  const auto plain = Round(kGemm, "", &data, Options(2));
  const auto fitted = Round(kGemm, "bn_reestimation", &data, Options(2));
  const Tensor &w = *plain->before.graph->Constant("w"), &b = *plain->before.graph->Constant("b");
  const quant::Encoding &old = plain->Weight("w"), &now = fitted->Weight("w");
  const Tensor rounded = quant::FakeQuantizeTensor(w, old);
  CHECK(*now.codes == quant::QuantizeTensor(w, old));
  CHECK(now.frozen);
  const Tensor& bias = *fitted->session.model.graph->Constant("b");
  for (size_t c = 0; c < 4; ++c) {
    double n = 0, sy = 0, sz = 0, szz = 0, syz = 0;
    for (const auto& x : Rows(&data, 6)) {
      const double y = Dot(x, w, c) + b.data<float>()[c], z = Dot(x, rounded, c);
      ++n, sy += y, sz += z, szz += z * z, syz += y * z;
    }
    const double gain = (syz - sy * sz / n) / (szz - sz * sz / n);
    CHECK(now.params[c].scale == Approx(old.params[c].scale * gain).epsilon(1e-5));
    CHECK(bias.data<float>()[c] == Approx((sy - gain * sz) / n).epsilon(1e-4).margin(1e-5));
  }
  CHECK(OutputError(*fitted, &data) < OutputError(*plain, &data));
}

// After the best fit, a second one would be the identity.
void CheckNormalEquations(const std::string& text, const Shape& shape) {
  INFO(text);
  VectorSource data = CorrelatedSource(shape, 6, 5);
  for (const Granularity granularity : {Granularity::kChannel, Granularity::kTensor}) {
    RoundedOptions options = Options(3);
    options.granularity = granularity;
    const auto r = Round(text, "bn_reestimation", &data, options);
    double product = 0, square = 0;
    for (const Pairs& pairs : OutputPairs(*r, &data)) {
      const double yz = pairs.Covariance(pairs.y, pairs.z), zz = pairs.Covariance(pairs.z, pairs.z);
      CHECK(Pairs::Mean(pairs.y) == Approx(Pairs::Mean(pairs.z)).margin(1e-4));
      if (granularity == Granularity::kChannel && r->Weight("w").params.size() != 3)
        CHECK(yz == Approx(zz).epsilon(1e-3));
      product += yz, square += zz;
    }
    CHECK(product == Approx(square).epsilon(1e-3));
    CHECK(r->session.report == nullptr);
    CHECK(r->report.passes.back().outcome == "changed");
  }
}

TEST_CASE("no second fit is better, for layers of all kinds") {
  CheckNormalEquations(R"(opset 13
    graph g (float32[N,4,6,7] x) => (float32[N,6,3,4] y) {
      float32[6,2,3,3] w = random(1)
      y = Conv<group=2, pads=[1,0,1,2], strides=[2,2]>(x, w)
    })",
                       {8, 4, 6, 7});
  CheckNormalEquations(R"(opset 13
    graph g (float32[N,4,5,5] x) => (float32[N,6,6,6] y) {
      float32[4,3,2,2] w = random(1)
      float32[6] b = random(2)
      y = ConvTranspose<group=2>(x, w, b)
    })",
                       {8, 4, 5, 5});
  CheckNormalEquations(R"(opset 13
    graph g (float32[N,5] x) => (float32[N,4] y) {
      float32[4,5] w = random(1)
      y = Gemm<transB=1, alpha=0.5>(x, w)
    })",
                       {16, 5});
  CheckNormalEquations(R"(opset 13
    graph g (float32[N,5] x) => (float32[N,4] y) {
      float32[5,4] w = random(1)
      float32[4] b = random(2)
      p = MatMul(x, w)
      y = Add(b, p)
    })",
                       {16, 5});
}

TEST_CASE("no layer has more error than before, on the samples of the fit and on those held out") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 8, 3);
  for (const Granularity granularity :
       {Granularity::kChannel, Granularity::kTensor, Granularity::kBlock})
    for (const int bits : {2, 4}) {
      RoundedOptions options = Options(bits, "0.2");
      options.granularity = granularity;
      options.block_size = granularity == Granularity::kBlock ? 2 : 0;
      const auto r = Round(kManyLayers, "bn_reestimation", &data, options);
      const auto& layers = r->report.passes.back().layers;
      CHECK(layers.size() >= (granularity == Granularity::kBlock ? 2u : 6u));
      for (const report::LayerOutcome& layer : layers) {
        INFO(layer.node << ", " << bits << " bits");
        CHECK(*layer.held_out_after <= *layer.held_out_before);
      }
    }
  const auto all = Round(kManyLayers, "bn_reestimation", &data, Options(3));
  for (const report::LayerOutcome& layer : all->report.passes.back().layers)
    CHECK(layer.error_after <= layer.error_before);
  // The samples that are held out: each fifth.
  VectorSource few = CorrelatedSource({3, 6}, 5, 9);
  const auto before = Round(kGemm, "", &few, Options(2));
  const auto after = Round(kGemm, "bn_reestimation", &few, Options(2, "0.2"));
  const auto old = OutputPairs(*before, &few, 5), now = OutputPairs(*after, &few, 5);
  for (size_t c = 0; c < old.size(); ++c) CHECK(now[c].Error() <= old[c].Error() * (1 + 1e-6));
}

TEST_CASE("codes that another pass has chosen stay, and targets come from the float model") {
  VectorSource data = CorrelatedSource({16, 6}, 8, 3, true);
  RoundedOptions options = Options(2);
  const auto first = Round(kGemm, "gptq", &data, {.grid = options.grid});
  options.first = {"gptq"};
  const auto then = Round(kGemm, "bn_reestimation", &data, options);
  CHECK(*then->Weight("w").codes == *first->Weight("w").codes);
  CHECK(then->Weight("w").params != first->Weight("w").params);
  CHECK(OutputError(*then, &data) < OutputError(*first, &data));
  // optimal_rounding changes the bias; with that one as a target, means would be wrong.
  options.first = {"optimal_rounding"};
  const auto best = Round(kGemm, "bn_reestimation", &data, options);
  CHECK_FALSE(*best->session.float_model->graph->Constant("b") ==
              *best->session.model.graph->Constant("b"));
  for (const Pairs& pairs : OutputPairs(*best, &data))
    CHECK(Pairs::Mean(pairs.y) == Approx(Pairs::Mean(pairs.z)).margin(1e-4));
}

TEST_CASE("nothing changes if the weights lie on their grid") {
  VectorSource data = CorrelatedSource({16, 3}, 4, 3);
  const auto r = Round(R"(opset 13
    graph g (float32[N,3] x) => (float32[N,2] y) {
      float32[3,2] w = {7, -7, 3, 1, -2, 5}
      float32[2] b = {1, 2}
      y = Gemm(x, w, b)
    })",
                       "bn_reestimation", &data, Options(4));
  CHECK(r->report.passes.back().outcome == "unchanged");
  CHECK_FALSE(r->Weight("w").frozen);
}

TEST_CASE("a bias of codes follows the new scales") {
  VectorSource data = CorrelatedSource({16, 6}, 4, 3);
  Session session;
  report::Report report;
  session.model = support::ParseModel(kGemm);
  session.target = target::LoadProfile("ort-cpu").value();
  session.grids = target::DefaultChoice(session.target);
  session.grids.weights.bits = 4;
  session.data = &data;
  std::vector<recipe::Step> steps;
  for (const char* pass : {"calibrate", "bn_reestimation"})
    steps.push_back({pass, recipe::Params(FindPass(pass)->params), 0});
  REQUIRE(RunSteps(steps, {}, &session, &report).ok());
  CHECK(report.passes.back().outcome == "changed");
  const std::string& b = session.model.graph->nodes()[0]->input(2);
  const quant::Encoding &bias = session.encodings.at(b), &x = session.encodings.at("x"),
                        &w = session.encodings.at("w");
  CHECK(w.frozen);
  REQUIRE(bias.params.size() == 4);
  for (size_t c = 0; c < 4; ++c)
    CHECK(bias.params[c].scale == x.params[0].scale * w.params[c].scale);
}

TEST_CASE("a gain that is not positive is not used") {
  // y = 0.2 t, and after rounding in steps of 1, z = -t.
  VectorSource data = CorrelatedSource({16, 1}, 4, 3);
  const auto r = Round(R"(opset 13
    graph g (float32[N,1] t) => (float32[N,1] y) {
      float32[1,4] spread = {1, 1, 1, 0}
      float32[4,1] w = {1.4, 1.4, -2.6, 3}
      float32[1] b = {0}
      x = MatMul(t, spread)
      y = Gemm(x, w, b)
    })",
                       "bn_reestimation", &data, Options(3));
  CHECK(r->Weight("w").params[0].scale == 1);
  CHECK_FALSE(*r->session.model.graph->Constant("b") == *r->before.graph->Constant("b"));
}

TEST_CASE("what cannot change is kept, with the reason") {
  VectorSource data = CorrelatedSource({16, 6}, 4, 3);
  const auto shared = Round(R"(opset 13
    graph g (float32[N,6] x) => (float32[N,6] y) {
      float32[6,6] w = random(1)
      float32[6] b = random(2)
      [one] h = Gemm(x, w, b)
      [two] m = MatMul(h, w)
      y = Relu(m)
    })",
                            "bn_reestimation", &data, Options(3));
  const auto& records = shared->report.passes.back().records;
  REQUIRE(records.size() == 3);
  CHECK(records[0].action + ": " + records[0].reason == "gain kept: other nodes read its weights");
  CHECK(records[2].action + ": " + records[2].reason == "offset kept: a MatMul has no bias");
  CHECK_FALSE(shared->Weight("w").codes);

  // Without a bias, the gain is that of a line through the origin.
  const auto product = Round(R"(opset 13
    graph g (float32[N,6] x) => (float32[N,4] y) {
      float32[6,4] w = random(1)
      y = MatMul(x, w)
    })",
                             "bn_reestimation", &data, Options(2));
  for (const Pairs& pairs : OutputPairs(*product, &data)) {
    double yz = 0, zz = 0;
    for (size_t i = 0; i < pairs.y.size(); ++i) {
      yz += pairs.y[i] * pairs.z[i];
      zz += pairs.z[i] * pairs.z[i];
    }
    CHECK(yz == Approx(zz).epsilon(1e-3));
  }
}

constexpr char kConv[] = R"(opset 13
  graph g (float32[N,3,5,5] x) => (float32[N,4,5,5] c) {
    float32[4,3,3,3] w = random(1)
    c = Conv<pads=[1,1,1,1]>(x, w)
  })";

std::string Numbers(const std::vector<double>& values) {
  std::vector<std::string> texts;
  for (const double v : values) texts.push_back(StrFormat("%.9g", v));
  return Join(texts);
}

TEST_CASE("running statistics become those of the rounded model, where that is better") {
  VectorSource data = CorrelatedSource({8, 3, 5, 5}, 6, 3);
  RoundedOptions options = Options(2);
  const auto conv = Round(kConv, "", &data, options);
  const auto inputs = OutputPairs(*conv, &data);  // of the normalization: float, and rounded
  std::vector<double> mean, variance;             // as training leaves them
  for (const Pairs& p : inputs) {
    mean.push_back(Pairs::Mean(p.y));
    variance.push_back(p.Covariance(p.y, p.y) / static_cast<double>(p.y.size()));
  }
  std::string text = kConv;
  text.replace(text.find("5] c") + 3, 1, "y").erase(text.rfind("}"));
  text += StrCat(R"(
    float32[4] gamma = {1, 0.5, 2, 1.5}
    float32[4] beta = {0, 1, -1, 0.5}
    float32[4] mean = {)",
                 Numbers(mean), R"(}
    float32[4] var = {)",
                 Numbers(variance), R"(}
    [bn] y = BatchNormalization(c, gamma, beta, mean, var)
  })");
  const auto plain = Round(text, "", &data, options);
  options.params["method"] = "statistics";
  const auto r = Round(text, "bn_reestimation", &data, options);
  const auto old = OutputPairs(*plain, &data), now = OutputPairs(*r, &data);
  const graph::Graph& graph = *r->session.model.graph;
  const graph::Node& norm = *graph.nodes().back();
  int replaced = 0;
  for (size_t c = 0; c < 4; ++c) {
    CHECK(now[c].Error() <= old[c].Error() * (1 + 1e-5));
    const float new_mean = graph.Constant(norm.input(3))->data<float>()[c];
    if (new_mean == static_cast<float>(mean[c])) continue;
    ++replaced;
    const auto& z = inputs[c].z;
    CHECK(new_mean == Approx(Pairs::Mean(z)).margin(1e-3));
    CHECK(graph.Constant(norm.input(4))->data<float>()[c] ==
          Approx(inputs[c].Covariance(z, z) / static_cast<double>(z.size())).epsilon(1e-3));
  }
  CHECK(replaced > 0);
  CHECK(*graph.Constant("gamma") == *r->before.graph->Constant("gamma"));

  VectorSource rows = CorrelatedSource({16, 6}, 4, 3);
  const auto none = Round(kGemm, "bn_reestimation", &rows, {.params = {{"method", "statistics"}}});
  CHECK(none->report.passes.back().outcome == "unchanged");
  REQUIRE(none->report.passes.back().warnings.size() == 1);
  CHECK(none->report.passes.back().warnings[0].find("method: regression") != std::string::npos);
}

TEST_CASE("fits do not depend on the number of threads, and rounding must come before") {
  VectorSource data = CorrelatedSource({5, 4, 6, 6}, 7, 3);
  SetThreads(1);
  const auto one = Round(kManyLayers, "bn_reestimation", &data, Options(3, "0.2"));
  SetThreads(3);
  const auto three = Round(kManyLayers, "bn_reestimation", &data, Options(3, "0.2"));
  SetThreads(0);
  for (const auto& [value, encoding] : one->session.encodings)
    CHECK(encoding.params == three->session.encodings.at(value).params);
  for (const char* bias : {"b1", "b6"})
    CHECK(*one->session.model.graph->Constant(bias) == *three->session.model.graph->Constant(bias));

  Session session;
  report::Report report;
  std::vector<recipe::Step> steps;
  for (const char* pass : {"calibrate", "bn_reestimation", "gptq"})
    steps.push_back({pass, recipe::Params(FindPass(pass)->params), 0});
  const Status status = RunSteps(steps, {}, &session, &report);
  CHECK(status.message().find("gptq: comes after bn_reestimation") != std::string::npos);
}

}  // namespace
}  // namespace roundel::passes
