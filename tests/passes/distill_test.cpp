// Oracles: the codes at the start, which stay unless weights are learned; rounding to nearest on data
// that the pass has not seen.

#include "tests/support/residual_net.h"

namespace roundel::passes {
namespace {

using support::CorrelatedSource;
using support::kResidual;
using support::Metric;
using support::OutputError;
using support::Round;
using support::RoundedOptions;
using support::SmallScores;
using support::VectorSource;

RoundedOptions Options(int bits, std::map<std::string, std::string> params) {
  params.emplace("start", "nearest");
  return support::ShortLearning(bits, std::move(params));
}

TEST_CASE("scales, ranges and biases are learned end to end, and codes stay") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 8, 3);
  VectorSource others = CorrelatedSource({16, 6, 8, 8}, 4, 99);
  for (const int activation_bits : {0, 4}) {
    RoundedOptions options = Options(3, {{"loss", "mse"}});
    options.activation_bits = activation_bits;
    const auto start = Round(kResidual, "", &data, options);
    const auto r = Round(kResidual, "distill", &data, options);
    CHECK(OutputError(*r, &others) < OutputError(*start, &others));
    int scales = 0;
    for (const char* weight : {"w0", "w1", "w2", "w3", "w4", "w5"}) {
      const quant::Encoding &now = r->Weight(weight), &before = start->Weight(weight);
      CHECK(*now.codes ==
            quant::QuantizeTensor(*start->session.model.graph->Constant(weight), before));
      scales += now.params != before.params;
    }
    CHECK(scales > 3);
  }
}

TEST_CASE("all weights are learned if asked") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 8, 3);
  VectorSource others = CorrelatedSource({16, 6, 8, 8}, 4, 99);
  const RoundedOptions scales = Options(2, {{"loss", "mse"}});
  RoundedOptions weights = Options(2, {{"loss", "mse"}, {"weights", "true"}, {"rate", "0.02"}});
  const auto start = Round(kResidual, "", &data, scales);
  const auto few = Round(kResidual, "distill", &data, scales);
  const auto all = Round(kResidual, "distill", &data, weights);
  CHECK(OutputError(*few, &others) < OutputError(*start, &others));
  CHECK(OutputError(*all, &others) < OutputError(*start, &others));
  CHECK(Metric(all->report, "loss_after") < Metric(few->report, "loss_after"));
}

// Every kind of constant per channel, each behind a layer; constants that have no gradient or more
// than one reader.
constexpr char kNorms[] = R"(opset 17
  graph g (float32[N,5,8] x) => (float32[N,5,6] y) {
    float32[8,8] w1 = random(1)
    float32[8,6] w2 = random(2)
    float32[8] gamma = random(3)
    float32[8] beta = random(4)
    float32[8] gain = random(5)
    float32[1,1,8] shift = random(6)
    float32[8] shared = random(7)
    float32[6] bias = random(8)
    h = MatMul(x, w1)
    n = LayerNormalization<axis=-1>(h, gamma, beta)
    m = Mul(n, gain)
    a = Add(m, shift)
    s = Mul(a, shared)
    t = Add(s, shared)
    r = Relu(t)
    p = MatMul(r, w2)
    y = Add(p, bias)
  })";

TEST_CASE("gains and shifts of norms are learned unless several nodes read them") {
  VectorSource data = CorrelatedSource({16, 5, 8}, 8, 3),
               others = CorrelatedSource({16, 5, 8}, 4, 99);
  RoundedOptions options = Options(3, {{"loss", "mse"}, {"gain_rate", "0.005"}});
  const auto start = Round(kNorms, "", &data, options);
  const auto r = Round(kNorms, "distill", &data, options);
  const auto changed = [&](const char* name) {
    return !(*r->session.model.graph->Constant(name) ==
             *start->session.model.graph->Constant(name));
  };
  for (const char* name : {"gamma", "beta", "gain", "shift", "bias"}) {
    INFO(name);
    CHECK(changed(name));
  }
  CHECK_FALSE(changed("shared"));
  CHECK(OutputError(*r, &others) < OutputError(*start, &others));
  options.params["gain_rate"] = "0";
  const auto without = Round(kNorms, "distill", &data, options);
  for (const char* name : {"gamma", "beta", "gain", "shift"})
    CHECK(*without->session.model.graph->Constant(name) ==
          *start->session.model.graph->Constant(name));
}

TEST_CASE("the divergence is lowered where outputs are scores of classes") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 8, 3);
  const auto kl = Round(SmallScores(), "distill", &data, Options(3, {}));
  const auto mse = Round(SmallScores(), "distill", &data, Options(3, {{"loss", "mse"}}));
  CHECK(Metric(kl->report, "output_error_after") < Metric(kl->report, "output_error_before"));
  CHECK(Metric(kl->report, "output_error_before") != Metric(mse->report, "output_error_before"));
}

}  // namespace
}  // namespace roundel::passes
