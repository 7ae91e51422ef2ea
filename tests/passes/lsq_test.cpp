// Oracles: rounding to nearest on data that the pass has not seen; the start, which a result must not
// be worse than on the samples that judge it; the float model itself where rounding changes nothing.

#include "lib/base/parallel.h"
#include "tests/support/residual_net.h"

namespace roundel::passes {
namespace {

using quant::Granularity;
using support::CorrelatedSource;
using support::kManyLayers;
using support::kResidual;
using support::Metric;
using support::OutputError;
using support::Round;
using support::RoundedOptions;
using support::SmallScores;
using support::VectorSource;

RoundedOptions Options(int bits, std::map<std::string, std::string> params) {
  params.emplace("start", "nearest");
  RoundedOptions options = support::ShortLearning(bits, std::move(params));
  options.grid.narrow_range = false;
  return options;
}

TEST_CASE("weights with learned steps are closer than the nearest codes, on grids of every kind") {
  VectorSource data = CorrelatedSource({16, 4, 6, 6}, 8, 3);
  VectorSource others = CorrelatedSource({16, 4, 6, 6}, 4, 99);
  int ran = 0;
  for (const int bits : {2, 3, 4})
    for (const bool symmetric : {true, false})
      for (const Granularity granularity : {Granularity::kTensor, Granularity::kChannel}) {
        RoundedOptions options = Options(bits, {});
        options.grid.is_signed = options.grid.symmetric = symmetric;
        options.granularity = granularity;
        const double nearest = OutputError(*Round(kManyLayers, "", &data, options), &others);
        INFO(bits << " " << symmetric << " " << static_cast<int>(granularity));
        for (const char* layers : {"0", "1000"}) {
          options.params["max_layers"] = layers;
          options.params["loss"] = "mse";
          const auto r = Round(kManyLayers, "lsq", &data, options);
          CHECK(Metric(r->report, "blocks") >= (layers[0] == '0' ? 2 : 1));
          CHECK(Metric(r->report, "loss_after") <= Metric(r->report, "loss_before"));
          CHECK(OutputError(*r, &others) < nearest);
          CHECK(r->Weight("w1").decided_by == "lsq");
          CHECK(r->Weight("w1").frozen);
          ++ran;
        }
      }
  CHECK(ran == 24);
}

TEST_CASE("weights in blocks are learned") {
  constexpr char kProducts[] = R"(opset 13
    graph g (float32[N,16] x) => (float32[N,8] y) {
      float32[16,24] w1 = random(1)
      float32[24,8] w2 = random(2)
      h = MatMul(x, w1)
      r = Relu(h)
      y = MatMul(r, w2)
    })";
  VectorSource data = CorrelatedSource({16, 16}, 8, 3), others = CorrelatedSource({16, 16}, 4, 99);
  for (const bool symmetric : {true, false}) {
    RoundedOptions options = Options(3, {{"loss", "mse"}});
    options.granularity = Granularity::kBlock;
    options.block_size = 5;  // the last block is shorter
    options.grid.is_signed = options.grid.symmetric = symmetric;
    const double nearest = OutputError(*Round(kProducts, "", &data, options), &others);
    const auto r = Round(kProducts, "lsq", &data, options);
    CHECK(r->Weight("w1").granularity == Granularity::kBlock);
    CHECK(OutputError(*r, &others) < nearest);
  }
}

TEST_CASE("ranges and zero points of activations are learned with the weights") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 8, 3);
  VectorSource others = CorrelatedSource({16, 6, 8, 8}, 4, 99);
  RoundedOptions options = Options(3, {{"loss", "mse"}, {"offset_rate", "0.2"}});
  options.activation_bits = 3;
  const auto start = Round(kResidual, "", &data, options);
  const auto r = Round(kResidual, "lsq", &data, options);
  CHECK(OutputError(*r, &others) < 0.9 * OutputError(*start, &others));
  int scales = 0, zero_points = 0;
  std::map<int, quant::QParams> groups;
  for (const target::QuantPoint& point : r->session.placement->points) {
    if (point.role != quant::Role::kActivation) continue;
    const quant::Encoding& now = r->session.encodings.at(point.value);
    const quant::Encoding& before = start->session.encodings.at(point.value);
    scales += now.params[0].scale != before.params[0].scale;
    zero_points += now.params[0].zero_point != before.params[0].zero_point;
    CHECK(now.params[0].zero_point >= now.grid.qmin());
    CHECK(now.params[0].zero_point <= now.grid.qmax());
    // Values after a Relu have no negative codes.
    if (before.params[0].zero_point == 0) CHECK(now.params[0].zero_point == 0);
    // One range for all that share it.
    const auto [it, first] = groups.emplace(point.group, now.params[0]);
    CHECK(it->second == now.params[0]);
  }
  CHECK(scales > 3);
  CHECK(zero_points > 0);
}

TEST_CASE("lsq leaves weights that lie on their grid where they are") {
  VectorSource data = support::OnGridSource();
  for (const char* loss : {"kl", "mse"}) {
    RoundedOptions options = Options(4, {{"loss", loss}});
    options.grid.narrow_range = true;
    const auto r = Round(support::kOnGrid, "lsq", &data, options);
    CHECK(std::fabs(Metric(r->report, "loss_before")) < 1e-6);
    CHECK(OutputError(*r, &data) < 1e-9);
  }
}

TEST_CASE("the published rule, hidden targets and divergences learn, too") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 8, 3);
  const std::vector<std::map<std::string, std::string>> all = {
      {{"optimizer", "momentum"}, {"rate", "0.02"}, {"scale_rate", "0.02"}, {"loss", "mse"}},
      {{"hidden", "1"}, {"loss", "mse"}},
      {{"loss", "kl"}},
      {{"hidden", "0.001"}},
      {{"drop", "0.3"}, {"loss", "mse"}}};
  for (const auto& params : all) {
    const auto r = Round(SmallScores(), "lsq", &data, Options(3, params));
    INFO(params.begin()->first);
    CHECK(Metric(r->report, "learned") == 1);
    CHECK(Metric(r->report, "loss_after") < 0.9 * Metric(r->report, "loss_before"));
    CHECK(Metric(r->report, "output_error_after") < Metric(r->report, "output_error_before"));
  }
}

TEST_CASE("weights with learned steps are the same for any number of threads") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 6, 3);
  std::vector<std::unique_ptr<support::Rounded>> runs;
  for (const int threads : {1, 3}) {
    SetThreads(threads);
    runs.push_back(Round(kResidual, "lsq", &data, Options(3, {{"iterations", "20"}})));
  }
  SetThreads(0);
  for (const char* weight : {"w0", "w1", "w2", "w3", "w4", "w5"}) {
    CHECK(*runs[1]->Weight(weight).codes == *runs[0]->Weight(weight).codes);
    CHECK(runs[1]->Weight(weight).params == runs[0]->Weight(weight).params);
  }
}

TEST_CASE("rates that diverge end at the best point before, and the report says so") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 4, 3);
  const auto r = Round(kResidual, "lsq", &data,
                       Options(3, {{"optimizer", "momentum"}, {"rate", "10"}, {"loss", "mse"}}));
  CHECK(Metric(r->report, "loss_after") <= Metric(r->report, "loss_before"));
  CHECK(std::isfinite(OutputError(*r, &data)));
}

TEST_CASE("few samples are warned of") {
  VectorSource few = CorrelatedSource({16, 6, 8, 8}, 1, 3),
               many = CorrelatedSource({16, 6, 8, 8}, 8, 3);
  const auto warned = [](const support::Rounded& r) {
    for (const std::string& warning : r.report.passes.back().warnings)
      if (warning.find("16 samples are few") != std::string::npos) return true;
    return false;
  };
  CHECK(warned(*Round(kResidual, "lsq", &few, Options(3, {{"iterations", "4"}}))));
  CHECK_FALSE(warned(*Round(kResidual, "lsq", &many, Options(3, {{"iterations", "4"}}))));
}

}  // namespace
}  // namespace roundel::passes
