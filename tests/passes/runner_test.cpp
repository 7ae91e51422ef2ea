#include <algorithm>

#include "passes/runner.h"

#include "lib/base/interrupt.h"
#include "lib/graph/text.h"
#include "tests/support/catch.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

constexpr const char* kConvBn = R"(opset 13
  graph g (float32[N,2,4,4] x) => (float32[N,3,4,4] y) {
    float32[3,2,1,1] w = random(1)
    float32[3] gamma = {1.5, -0.5, 2}
    float32[3] beta = {0.25, 1, -1}
    float32[3] mean = {0.5, -1, 0}
    float32[3] var = {1, 4, 0.25}
    c = Conv<kernel_shape=[1,1]>(x, w)
    y = BatchNormalization(c, gamma, beta, mean, var)
  })";

Session MakeSession() {
  Session session;
  session.model = graph::Parse(kConvBn).value();
  session.target = target::LoadProfile("ort-cpu").value();
  session.grids = target::DefaultChoice(session.target);
  return session;
}

recipe::Step StepOf(const std::string& name) {
  return {name, recipe::Params(FindPass(name)->params), 1};
}

}  // namespace

TEST_CASE("the runner reports each pass with its outcome and proves equivalence on data") {
  Session session = MakeSession();
  support::VectorSource data = support::RandomSource({4, 2, 4, 4}, 2, 3);
  session.data = &data;
  report::Report report;
  REQUIRE(RunSteps({StepOf("bn_fold"), StepOf("bn_fold")}, {}, &session, &report).ok());
  REQUIRE(report.passes.size() == 2);
  CHECK(report.passes[0].outcome == "changed");
  CHECK(report.passes[1].outcome == "unchanged");
  CHECK(report.passes[0].peak_rss_bytes > 0);
  bool measured = false;
  for (const auto& [name, value] : report.passes[0].metrics) {
    if (name != "output_difference") continue;
    measured = true;
    CHECK(std::get<double>(value) < 1e-5);
  }
  CHECK(measured);
  CHECK(session.model.graph->nodes().size() == 1);
}

TEST_CASE("a tolerance that arithmetic cannot meet makes the proof fail, naming the pass") {
  Session session = MakeSession();
  support::VectorSource data = support::RandomSource({4, 2, 4, 4}, 2, 3);
  session.data = &data;
  report::Report report;
  const Status status =
      RunSteps({StepOf("bn_fold")}, {.verify_tolerance = -1.0}, &session, &report);
  CHECK(status.kind() == ErrorKind::kInternal);
  CHECK(status.message().find("pass bn_fold: the pass changed the model's outputs") == 0);
}

// A pass that declares to keep the function of the model, but changes it.
PassInfo WrongPass(Outcome outcome, float factor) {
  return {.name = "wrong",
          .float_equivalent = true,
          .run = [=](Session& session, const recipe::Params&) -> Result<Outcome> {
            Tensor w = *session.model.graph->FindInitializer("w");
            w.mutable_data<float>()[2] *= factor;
            session.model.graph->SetInitializer("w", w);
            return outcome;
          }};
}

TEST_CASE("the proof on data sees a pass that changes what the model computes") {
  const auto run = [](const PassInfo& pass, const RunnerOptions& options) {
    Session session = MakeSession();
    support::VectorSource data = support::RandomSource({4, 2, 4, 4}, 2, 3);
    session.data = &data;
    report::PassReport report;
    session.report = &report;
    const Status status = RunPass(pass, recipe::Params(pass.params), options, &session);
    const bool measured = std::any_of(report.metrics.begin(), report.metrics.end(),
                                      [](const auto& m) { return m.first == "output_difference"; });
    CHECK(measured == (options.verify_samples > 0));
    return status;
  };
  const Status wrong = run(WrongPass(Outcome::kChanged, 1.01f), {});
  CHECK(wrong.kind() == ErrorKind::kInternal);
  CHECK(wrong.message().find("changed the model's outputs by") != std::string::npos);
  CHECK(run(WrongPass(Outcome::kChanged, 1.0f), {}).ok());
  // A pass that declares to be approximate is measured, not refused.
  CHECK(run(WrongPass(Outcome::kApproximate, 1.01f), {}).ok());
  CHECK(run(WrongPass(Outcome::kChanged, 1.01f), {.verify_samples = 0}).ok());
}

TEST_CASE("outputs that are NaN before a pass are the model's own fault") {
  Session session = MakeSession();
  // Logarithms of what is normalized to both sides of 0.
  std::string text = kConvBn;
  const size_t last = text.find("y = Batch");
  text.replace(last, 1, "n");
  text.insert(text.rfind('}'), "  y = Log(n)\n");
  session.model = graph::Parse(text).value();
  support::VectorSource data = support::RandomSource({4, 2, 4, 4}, 2, 3);
  session.data = &data;
  report::Report report;
  const Status status = RunSteps({StepOf("bn_fold")}, {}, &session, &report);
  CHECK(status.kind() == ErrorKind::kModel);
  CHECK(status.message().find("the model's own output 'y' holds NaN") != std::string::npos);
}

TEST_CASE("a pass that needs data says so when there is none") {
  Session session = MakeSession();
  report::Report report;
  const Status status = RunSteps({StepOf("calibrate")}, {}, &session, &report);
  CHECK(status.kind() == ErrorKind::kUsage);
  CHECK(status.message() ==
        "pass calibrate: needs calibration data: give --calib, or a data section in the recipe, or "
        "set stats_in or data_free");
}

TEST_CASE("a pass that changes the float model is refused once grids are assigned") {
  Session session = MakeSession();
  session.encodings["c"] = {};
  report::Report report;
  const Status status = RunSteps({StepOf("bn_fold")}, {}, &session, &report);
  CHECK(status.kind() == ErrorKind::kUsage);
  CHECK(status.message().find("pass bn_fold: changes the float model, so it must come before") ==
        0);
}

}  // namespace roundel::passes
