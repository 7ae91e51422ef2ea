// Oracles: the start, which a result must not be worse than on the samples that judge it; rounding
// to nearest on data that no pass has seen; the float model itself where rounding changes nothing.

#include "lib/base/parallel.h"
#include "lib/base/store.h"
#include "tests/support/residual_net.h"
#include "tests/support/temp_folder.h"

namespace roundel::passes {
namespace {

using support::CorrelatedSource;
using support::kManyLayers;
using support::kResidual;
using support::Metric;
using support::OutputError;
using support::Round;
using support::RoundedOptions;
using support::VectorSource;

constexpr auto Options = support::ShortLearning;

TEST_CASE("blocks end closer to the float model than with rounding to nearest") {
  int ran = 0;
  const std::vector<std::pair<std::string, Shape>> nets = {{kResidual, {16, 6, 8, 8}},
                                                           {kManyLayers, {16, 4, 6, 6}}};
  for (const auto& [text, shape] : nets) {
    VectorSource data = CorrelatedSource(shape, 8, 3);
    VectorSource others = CorrelatedSource(shape, 4, 99);
    for (const int bits : {3, 4}) {
      const double nearest = OutputError(*Round(text, "", &data, Options(bits, {})), &others);
      for (const char* rounding : {"soft", "straight"}) {
        const auto r = Round(text, "block_reconstruction", &data,
                             Options(bits, {{"rounding", rounding}, {"start", "nearest"}}));
        INFO(rounding << " " << bits);
        CHECK(Metric(r->report, "loss_after") <= Metric(r->report, "loss_before"));
        CHECK(Metric(r->report, "learned") > 0);
        CHECK(OutputError(*r, &others) < nearest);
        ++ran;
      }
    }
  }
  CHECK(ran == 8);
}

TEST_CASE("a block starts at what optimal_rounding finds, and is never worse") {
  const std::vector<std::pair<std::string, Shape>> nets = {{kResidual, {16, 6, 8, 8}},
                                                           {kManyLayers, {16, 4, 6, 6}}};
  for (const auto& [text, shape] : nets) {
    VectorSource data = CorrelatedSource(shape, 8, 3);
    VectorSource others = CorrelatedSource(shape, 4, 99);
    const double optimal = OutputError(
        *Round(text, "optimal_rounding", &data, {.grid = Options(3, {}).grid}), &others);
    // Nothing is learned: the layers were solved on the same inputs, up to the half precision in
    // which the other pass hands values from layer to layer.
    const auto solved = Round(
        text, "block_reconstruction", &data,
        Options(
            3,
            {{"rounding", "none"}, {"iterations", "1"}, {"scale_rate", "0"}, {"bias_rate", "0"}}));
    CHECK(OutputError(*solved, &others) == Approx(optimal).epsilon(0.05));
    CHECK(Metric(solved->report, "learned") == 0);
    const auto learned = Round(text, "block_reconstruction", &data, Options(3, {}));
    CHECK(Metric(learned->report, "loss_after") <= Metric(learned->report, "loss_before"));
    CHECK(OutputError(*learned, &others) < optimal * 1.05);
  }
}

TEST_CASE("weights that lie on their grid do not move") {
  VectorSource data = support::OnGridSource();
  for (const char* rounding : {"soft", "straight"}) {
    const auto r = Round(support::kOnGrid, "block_reconstruction", &data,
                         Options(4, {{"rounding", rounding}}));
    CHECK(Metric(r->report, "loss_before") == 0);
    CHECK(Metric(r->report, "loss_after") == 0);
    CHECK(Metric(r->report, "learned") == 0);
    CHECK(OutputError(*r, &data) == 0);
  }
}

TEST_CASE("learned codes and scales are the same for any number of threads") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 6, 3);
  std::vector<std::unique_ptr<support::Rounded>> runs;
  for (const int threads : {1, 2, 4}) {
    SetThreads(threads);
    runs.push_back(Round(kResidual, "block_reconstruction", &data, Options(3, {})));
  }
  SetThreads(0);
  for (size_t i = 1; i < runs.size(); ++i)
    for (const char* weight : {"w0", "w1", "w2", "w3", "w4", "w5"}) {
      CHECK(*runs[i]->Weight(weight).codes == *runs[0]->Weight(weight).codes);
      CHECK(runs[i]->Weight(weight).params == runs[0]->Weight(weight).params);
    }
  for (size_t i = 1; i < runs.size(); ++i)
    CHECK(*runs[i]->session.model.graph->Constant("b0") ==
          *runs[0]->session.model.graph->Constant("b0"));
}

TEST_CASE("a start by optimal_rounding is only replaced by a better network") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 8, 3);
  const auto start =
      Round(kResidual, "optimal_rounding", &data, RoundedOptions{.grid = Options(3, {}).grid});
  Session& session = start->session;
  report::Report report;
  const PassInfo* info = FindPass("block_reconstruction");
  recipe::Step step{info->name, recipe::Params(info->params), 0};
  REQUIRE(step.params.SetFromText(info->params, "iterations", "60").ok());
  REQUIRE(step.params.SetFromText(info->params, "batch", "16").ok());
  const double before = OutputError(*start, &data);
  REQUIRE(RunSteps({step}, {}, &session, &report).ok());
  CHECK(Metric(report, "loss_after") <= Metric(report, "loss_before"));
  CHECK(OutputError(*start, &data) <= before * 1.001);  // stored values are rounded
}

TEST_CASE("blocks that a store holds are read back, to the same bytes") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 4, 3);
  const support::TempFolder folder;
  const Store store = Store::Open(folder.path(), "test").value();
  const PassInfo* info = FindPass("block_reconstruction");
  recipe::Step step{info->name, recipe::Params(info->params), 0};
  REQUIRE(step.params.SetFromText(info->params, "iterations", "40").ok());
  std::vector<std::unique_ptr<support::Rounded>> runs;
  for (int run = 0; run < 2; ++run) {
    runs.push_back(Round(kResidual, "", &data, Options(3, {})));
    runs.back()->session.store = &store;
    report::Report report;
    REQUIRE(RunSteps({step}, {}, &runs.back()->session, &report).ok());
    CHECK((report.passes.back().resumed > 0) == (run == 1));
  }
  for (const char* weight : {"w0", "w1", "w2", "w3", "w4", "w5"}) {
    CHECK(*runs[0]->Weight(weight).codes == *runs[1]->Weight(weight).codes);
    CHECK(runs[0]->Weight(weight).params == runs[1]->Weight(weight).params);
  }
}

TEST_CASE("a time that is too short for one iteration is an error that says what to do") {
  VectorSource data = CorrelatedSource({16, 6, 8, 8}, 2, 3);
  auto r = Round(kResidual, "", &data, Options(4, {}));
  const PassInfo* info = FindPass("block_reconstruction");
  recipe::Step step{info->name, recipe::Params(info->params), 0};
  REQUIRE(step.params.SetFromText(info->params, "time", "1e-9").ok());
  report::Report report;
  const Status status = RunSteps({step}, {}, &r->session, &report);
  CHECK(status.kind() == ErrorKind::kUsage);
  CHECK(status.message().find("give more time, or a smaller batch") != std::string::npos);
}

}  // namespace
}  // namespace roundel::passes
