// calibrate's data_free. Oracles: the same model on data that is distributed as its batch
// normalizations say, and the closed form for the mean of a clipped normal value.

#include <cmath>
#include <set>

#include "lib/base/text.h"
#include "passes/runner.h"
#include "tests/support/catch.h"
#include "tests/support/pass_harness.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

// On standard normal inputs, independent of one another, c has mean 0 and variance 1 in both
// channels: what the normalization expects.
constexpr char kNet[] = R"(opset 13
  graph g (float32[N,2,4,4] x) => (float32[N,3] y) {
    float32[2,2,1,1] w1 = {1, 0, 0.6, 0.8}
    float32[2] gamma = {0.5, 2}
    float32[2] beta = {0.3, -0.4}
    float32[2] mean = {0, 0}
    float32[2] var = {1, 1}
    float32[] six = {1.5}
    float32[] zero = {0}
    float32[3,2,1,1] w2 = {0.31, -0.72, 0.55, 0.23, -0.41, 0.9}
    c = Conv(x, w1)
    n = BatchNormalization<epsilon=0.0>(c, gamma, beta, mean, var)
    a = Clip(n, zero, six)
    d = Conv(a, w2)
    p = GlobalAveragePool(d)
    y = Flatten(p)
  })";

struct Ran {
  Session session;
  report::Report report;
  Status status;
};

std::unique_ptr<Ran> Calibrated(const std::string& text, DataSource* data,
                                const std::map<std::string, std::string>& settings,
                                const std::vector<std::string>& more = {},
                                const char* target = "generic") {
  auto r = std::make_unique<Ran>();
  r->session.model = support::ParseModel(text);
  r->session.target = target::LoadProfile(target).value();
  r->session.grids = target::DefaultChoice(r->session.target);
  r->session.data = data;
  std::vector<recipe::Step> steps;
  for (const char* pass : {"bn_fold", "calibrate"})
    steps.push_back({pass, recipe::Params(FindPass(pass)->params), 0});
  for (const auto& [key, value] : settings)
    REQUIRE(steps.back().params.SetFromText(FindPass("calibrate")->params, key, value).ok());
  for (const std::string& pass : more)
    steps.push_back({pass, recipe::Params(FindPass(pass)->params), 0});
  r->status = RunSteps(steps, {}, &r->session, &r->report);
  return r;
}

TEST_CASE("the recipe's seed decides in which order values are drawn") {
  // The range of a sum depends on which of the values meet.
  const char* net = R"(opset 13
    graph g (float32[N,2,4,4] x) => (float32[N,2,4,4] y) {
      float32[2,2,1,1] w1 = {1, 0, 0.6, 0.8}
      float32[2,2,1,1] w2 = {0.8, -0.6, 0, 1}
      float32[2,2,1,1] w3 = {0.31, -0.72, 0.55, 0.23}
      float32[2] gamma = {0.5, 2}
      float32[2] beta = {0.3, -0.4}
      float32[2] mean = {0, 0}
      float32[2] var = {1, 1}
      c1 = Conv(x, w1)
      c2 = Conv(x, w2)
      n1 = BatchNormalization(c1, gamma, beta, mean, var)
      n2 = BatchNormalization(c2, gamma, beta, mean, var)
      s = Add(n1, n2)
      e = Conv(s, w3)
      y = BatchNormalization(e, gamma, beta, mean, var)
    })";
  const auto scales = [&](uint64_t seed) {
    Ran r;
    r.session.model = support::ParseModel(net);
    r.session.target = target::LoadProfile("generic").value();
    r.session.grids = target::DefaultChoice(r.session.target);
    r.session.random = Random(seed);
    std::vector<recipe::Step> steps;
    for (const char* pass : {"bn_fold", "calibrate"})
      steps.push_back({pass, recipe::Params(FindPass(pass)->params), 0});
    REQUIRE(
        steps.back().params.SetFromText(FindPass("calibrate")->params, "data_free", "true").ok());
    REQUIRE(
        steps.back().params.SetFromText(FindPass("calibrate")->params, "input_range", "-3,3").ok());
    REQUIRE(RunSteps(steps, {}, &r.session, &r.report).ok());
    std::vector<float> all;
    for (const auto& [name, encoding] : r.session.encodings)
      if (encoding.role == quant::Role::kActivation) all.push_back(encoding.params[0].scale);
    return all;
  };
  CHECK(scales(1) == scales(1));
  CHECK(scales(1) != scales(2));
}

// E clip(v, low, high) of v = mean + deviation * N(0, 1) (algebra on the density and its integral).
double ClippedMean(double mean, double deviation, double low, double high) {
  const auto density = [](double z) { return std::exp(-z * z / 2) / std::sqrt(2 * M_PI); };
  const auto below = [](double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); };
  const double a = (low - mean) / deviation, b = (high - mean) / deviation;
  return deviation * (density(a) - density(b)) + mean * (below(b) - below(a)) + low * below(a) +
         high * (1 - below(b));
}

TEST_CASE("a mean over positions keeps what is told of the channels, one over channels does not") {
  const auto net = [](const std::string& axes) {
    return R"(opset 13
      graph g (float32[N,2,4,4] x) => (float32[N,2,4,4] y) {
        float32[2,2,1,1] w = {1, 0, 0.6, 0.8}
        float32[2] gamma = {0.5, 2}
        float32[2] beta = {0.3, -0.4}
        float32[2] mean = {0, 0}
        float32[2] var = {1, 1}
        c = Conv(x, w)
        n = BatchNormalization<epsilon=0.0>(c, gamma, beta, mean, var)
        m = ReduceMean<axes=)" +
           axes + R"(>(n)
        s = Mul(n, m)
        e = Conv(s, w)
        y = BatchNormalization(e, gamma, beta, mean, var)
      })";
  };
  const std::map<std::string, std::string> settings = {{"data_free", "true"},
                                                       {"input_range", "-3,3"}};
  const auto over_positions = Calibrated(net("[2,-1]"), nullptr, settings);
  REQUIRE(over_positions->status.ok());
  CHECK(over_positions->session.encodings.contains("m"));
  CHECK(over_positions->session.encodings.contains("s"));
  const auto over_channels = Calibrated(net("[1]"), nullptr, settings);
  REQUIRE(over_channels->status.ok());
  CHECK(over_channels->session.encodings.contains("n"));
  CHECK_FALSE(over_channels->session.encodings.contains("m"));
  CHECK_FALSE(over_channels->session.encodings.contains("s"));
}

TEST_CASE("without data, ranges are those of data that looks as the normalizations say") {
  support::VectorSource data = support::RandomSource({64, 2, 4, 4}, 32, 5);
  for (const char* method : {"percentile", "mse"}) {
    const auto seen = Calibrated(kNet, &data, {{"method", method}, {"percentile", "99"}});
    REQUIRE(seen->status.ok());
    const auto told = Calibrated(
        kNet, nullptr,
        {{"method", method}, {"percentile", "99"}, {"data_free", "true"}, {"input_range", "-3,3"}});
    INFO(told->status.message());
    REQUIRE(told->status.ok());
    const float expected = seen->session.encodings.at("a").params[0].scale;
    CHECK(told->session.encodings.at("a").params[0].scale == Approx(expected).epsilon(0.03));
    const auto& x = told->session.encodings.at("x").params[0];
    CHECK(x.scale == Approx(6.0 / 255).epsilon(0.02));
    // No normalization gives the moments of the second layer's output.
    CHECK_FALSE(told->session.encodings.contains("y"));
    CHECK_FALSE(told->session.encodings.contains("d"));
    CHECK(told->session.encodings.contains("w2"));
  }
}

TEST_CASE("means of layers' inputs are those of clipped normal values") {
  const auto told = Calibrated(kNet, nullptr, {{"data_free", "true"}});
  REQUIRE(told->status.ok());
  const std::vector<double>& mean = told->session.input_means->at("a").mean;
  REQUIRE(mean.size() == 2);
  CHECK(mean[0] == Approx(ClippedMean(0.3, 0.5, 0, 1.5)).margin(2e-3));
  CHECK(mean[1] == Approx(ClippedMean(-0.4, 2, 0, 1.5)).margin(4e-3));
  // The input was not described: it stays float, with a warning.
  CHECK_FALSE(told->session.encodings.contains("x"));
  const auto& warnings = told->report.passes.back().warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("set input_range") != std::string::npos);
}

TEST_CASE("a layer without ranges keeps its weights where the target has none with float inputs") {
  const std::map<std::string, std::string> settings = {{"data_free", "true"},
                                                       {"input_range", "-3,3"}};
  const auto told = Calibrated(kNet, nullptr, settings, {"bias_correct"}, "qnn-htp");
  REQUIRE(told->status.ok());
  // QNN's layers have an encoding for each of their tensors, or none.
  CHECK_FALSE(told->session.encodings.contains("w2"));
  CHECK(told->session.placement->kept_float.contains("d"));
  size_t said = 0;
  for (const std::string& warning : told->report.passes[1].warnings)
    said += warning.starts_with(
        "1 layer stays float because ranges are unknown, and 'qnn-htp' runs no");
  CHECK(said == 1);
}

TEST_CASE("biases are corrected by the means that nobody measured") {
  const std::map<std::string, std::string> settings = {{"data_free", "true"},
                                                       {"input_range", "-3,3"}};
  const auto before = Calibrated(kNet, nullptr, settings);
  const auto after = Calibrated(kNet, nullptr, settings, {"bias_correct"});
  REQUIRE(after->status.ok());
  const graph::Graph& graph = *after->session.model.graph;
  const Tensor& w = *graph.Constant("w2");
  const Tensor rounded = quant::FakeQuantizeTensor(w, after->session.encodings.at("w2"));
  const double x[] = {ClippedMean(0.3, 0.5, 0, 1.5), ClippedMean(-0.4, 2, 0, 1.5)};
  const graph::Node* layer = nullptr;
  for (const auto& node : graph.nodes())
    if (node->input(1) == "w2") layer = node.get();
  const Tensor* bias = graph.Constant(layer->input(2));
  REQUIRE(bias);
  // The layer reads codes and has codes for its weight, but gives floats: so does its bias.
  CHECK_FALSE(after->session.encodings.contains(layer->input(2)));
  for (int64_t o = 0; o < 3; ++o) {
    double shift = 0;
    for (int64_t i = 0; i < 2; ++i)
      shift += (rounded.data<float>()[2 * o + i] - w.data<float>()[2 * o + i]) * x[i];
    CHECK(bias->data<float>()[o] == Approx(-shift).margin(2e-5));
  }
}

TEST_CASE("sums, slices and padded channels are followed to the next layer") {
  const auto told = Calibrated(R"(opset 13
    graph g (float32[N,2,4,4] x) => (float32[N,4,2,2] y) {
      float32[2,2,1,1] w1 = {1, 0, 0.6, 0.8}
      float32[4,2,2,2] w2 = random(1)
      float32[4,4,1,1] w3 = random(2)
      float32[2] gamma = {0.5, 2}
      float32[4] gamma4 = {1, 1, 1, 1}
      float32[2] beta = {3, 4}
      float32[4] beta4 = {0, 0, 0, 0}
      float32[2] mean = {0, 0}
      float32[4] mean4 = {0, 0, 0, 0}
      float32[2] var = {1, 1}
      float32[4] var4 = {1, 1, 1, 1}
      int64[1] zero = {0}
      int64[1] end = {10}
      int64[1] axis2 = {2}
      int64[1] axis3 = {3}
      int64[1] two = {2}
      int64[4] front = {0, 1, 0, 0}
      int64[4] back = {0, 1, 0, 0}
      c = Conv(x, w1)
      n = BatchNormalization<epsilon=0.0>(c, gamma, beta, mean, var)
      s = Slice(n, zero, end, axis2, two)
      t = Slice(s, zero, end, axis3, two)
      pads = Concat<axis=0>(front, back)
      u = Pad(t, pads)
      d = Conv<strides=[2,2]>(n, w2)
      m = BatchNormalization<epsilon=0.0>(d, gamma4, beta4, mean4, var4)
      v = Add(u, m)
      r = Relu(v)
      e = Conv(r, w3)
      y = BatchNormalization(e, gamma4, beta4, mean4, var4)
    })",
                               nullptr, {{"data_free", "true"}});
  INFO(told->status.message());
  REQUIRE(told->status.ok());
  const std::vector<double>& mean = told->session.input_means->at("r").mean;
  REQUIRE(mean.size() == 4);
  const double high = 1e9, deviations[] = {1, std::sqrt(1.25), std::sqrt(5.0), 1};
  const double centers[] = {0, 3, 4, 0};
  for (size_t c = 0; c < 4; ++c)
    CHECK(mean[c] == Approx(ClippedMean(centers[c], deviations[c], 0, high)).margin(0.03));
  CHECK(told->session.encodings.contains("r"));
}

TEST_CASE("a model without normalizations keeps float activations") {
  const auto told =
      Calibrated(R"(opset 13
    graph g (float32[N,4] x) => (float32[N,2] y) {
      float32[4,3] a = random(1)
      float32[3,2] b = random(2)
      h = MatMul(x, a)
      r = Relu(h)
      y = MatMul(r, b)
    })",
                 nullptr, {{"data_free", "true"}, {"input_range", "-1,1"}}, {"bias_correct"});
  REQUIRE(told->status.ok());
  // No operator has ranges on both of its sides: codes of x would be worth nothing.
  CHECK_FALSE(told->session.encodings.contains("x"));
  CHECK(told->session.encodings.contains("a"));
  CHECK(told->session.encodings.contains("b"));
  CHECK_FALSE(told->session.encodings.contains("r"));
  CHECK_FALSE(told->session.encodings.contains("y"));
}

// Told: n (if x is), r and m. Not told: d, s and y, behind layers without a normalization.
constexpr char kHalfTold[] = R"(opset 13
  graph g (float32[N,2,4,4] x) => (float32[N,2,4,4] y) {
    float32[2,2,1,1] w1 = {1, 0, 0.6, 0.8}
    float32[2,2,1,1] w2 = {0.31, -0.72, 0.55, 0.23}
    float32[2,2,1,1] w3 = {0.8, -0.6, 0, 1}
    float32[2,2,1,1] w4 = {0.7, 0.2, -0.1, 0.4}
    float32[2] b2 = {0.1, 0.2}
    float32[2] gamma = {0.5, 2}
    float32[2] beta = {0.3, -0.4}
    float32[2] mean = {0, 0}
    float32[2] var = {1, 1}
    c = Conv(x, w1)
    n = BatchNormalization(c, gamma, beta, mean, var)
    r = Relu(n)
    d = Conv(r, w2, b2)
    s = Add(d, r)
    e = Conv(s, w3)
    m = BatchNormalization(e, gamma, beta, mean, var)
    y = Conv(m, w4)
  })";

TEST_CASE("operators that lack a range on one side are not quantized on the other") {
  // An integer kernel needs both: r is the output of one if x is told, and is read by none.
  const std::map<std::string, std::string> free = {{"data_free", "true"}};
  std::map<std::string, std::string> with_input = free;
  with_input["input_range"] = "-3,3";
  for (const char* target : {"generic", "ort-cpu", "openvino"}) {
    INFO(target);
    for (const bool told : {true, false}) {
      const auto ran = Calibrated(kHalfTold, nullptr, told ? with_input : free, {}, target);
      INFO(ran->status.message());
      REQUIRE(ran->status.ok());
      std::set<std::string> activations, others;
      for (const auto& [value, encoding] : ran->session.encodings)
        (encoding.role == quant::Role::kActivation ? activations : others).insert(value);
      CHECK(activations == (told ? std::set<std::string>{"x", "r"} : std::set<std::string>{}));
      // Biases have codes where integer sums are.
      CHECK_FALSE(others.contains("b2"));
      // OpenVINO has no convolutions of floats with weights on codes.
      const bool weight_only = ran->session.target.weight_only_ops.contains("Conv");
      for (const char* weight : {"w2", "w3", "w4"}) CHECK(others.contains(weight) == weight_only);
      CHECK(others.contains("w1") == (weight_only || told));
    }
  }
}

TEST_CASE("operators that look at positions, or that nothing runs, leave their values float") {
  for (const char* cut :
       {"t = Squeeze(x, last)\n c2 = Slice(t, start, end, two)", "c2 = Slice(x, start, end, three)",
        "t = Slice(x, start, end, zero)\n c2 = Abs(t)", "c2 = Pad(const, pads)",
        "c2 = acme.Warp(x)"}) {
    INFO(cut);
    const auto told = Calibrated(StrCat(R"(opset 13, acme 1
      graph g (float32[N,2,5,1] x) => (float32 y, float32 c) {
        float32[2,2,1,1] w = {1, 0.5, 0.25, -1}
        float32[1,2,5,1] const = ones
        int64[8] pads = {0, 0, 0, 0, 0, 0, 0, 0}
        int64[1] zero = {0}
        int64[1] two = {2}
        int64[1] three = {3}
        int64[1] last = {3}
        int64[1] start = {1}
        int64[1] end = {2}
        c = Conv(x, w)
        )",
                                        cut, R"(
        y = Neg(c2)
      })"),
                                 nullptr, {{"data_free", "true"}, {"input_range", "-1,1"}});
    INFO(told->status.message());
    REQUIRE(told->status.ok());
    CHECK_FALSE(told->session.encodings.contains("x"));  // of the Conv no result is told
    CHECK(told->session.encodings.contains("w"));
  }
}

TEST_CASE("settings that make no sense without data are usage errors") {
  for (const char* range : {"1", "2,1", "1,1", "0,1,2"}) {
    const auto told = Calibrated(kNet, nullptr, {{"data_free", "true"}, {"input_range", range}});
    CHECK(told->status.kind() == ErrorKind::kUsage);
    CHECK(told->status.message().find("input_range: give two numbers") != std::string::npos);
  }
  const auto kept = Calibrated(kNet, nullptr, {{"data_free", "true"}, {"stats_out", "x.json"}});
  CHECK(kept->status.message().find("stats_out") != std::string::npos);
  CHECK(Calibrated(kNet, nullptr, {}).get()->status.message().find("data_free") !=
        std::string::npos);
}

}  // namespace
}  // namespace roundel::passes
