#include <algorithm>
#include <cmath>

#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/io/onnx.h"
#include "tests/e2e/op_cases.h"
#include "tests/e2e/ort_runner.h"
#include "tests/support/catch.h"

namespace roundel::e2e {
namespace {

struct Prepared {
  OpGraph graph;
  OrtJob job;
};

Prepared Prepare(const OpCase& test, const ScratchFolder& scratch) {
  INFO(test.name);
  auto made = MakeOpGraph(test);
  INFO((made.ok() ? "" : made.status().message()));
  REQUIRE(made.ok());
  Prepared prepared{std::move(made).value(), {}};
  prepared.job.model = scratch.File(std::string(test.name) + ".onnx");
  prepared.job.optimize = false;
  const auto& inputs = prepared.graph.model.graph->inputs;
  for (size_t i = 0; i < inputs.size(); ++i)
    prepared.job.inputs.emplace_back(inputs[i].name, prepared.graph.inputs[i]);
  REQUIRE(io::WriteOnnx(prepared.graph.model, prepared.job.model).ok());
  return prepared;
}

void CompareFloats(const OpCase& test, const Tensor& ours, const Tensor& ort) {
  const Tensor a = ours.ToFloat(), b = ort.ToFloat();
  double worst = 0, largest = 1;
  bool special = true;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = a.data<float>()[i], y = b.data<float>()[i];
    if (!std::isfinite(x) || !std::isfinite(y)) {
      special = special && ((std::isnan(x) && std::isnan(y)) || x == y);
      continue;
    }
    worst = std::max(worst, std::fabs(x - y));
    largest = std::max(largest, std::fabs(y));
  }
  CHECK(special);
  CHECK(worst <= test.tolerance * largest);
}

void CompareCodes(const OpCase& test, const Tensor& ours, const Tensor& ort) {
  const Tensor a = ours.ToFloat(), b = ort.ToFloat();
  int64_t differ = 0;
  float worst = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const float distance = std::fabs(a.data<float>()[i] - b.data<float>()[i]);
    differ += distance != 0;
    worst = std::max(worst, distance);
  }
  INFO(differ << " of " << a.size() << " codes differ");
  CHECK(worst <= static_cast<float>(test.steps));
  CHECK(static_cast<double>(differ) <= test.share * static_cast<double>(a.size()));
}

void Compare(const OpCase& test, const std::vector<Tensor>& ours, const std::vector<Tensor>& ort) {
  REQUIRE(ours.size() == ort.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    INFO("output " << i << ": " << DTypeName(ours[i].dtype()) << ShapeString(ours[i].shape())
                   << " and " << DTypeName(ort[i].dtype()) << ShapeString(ort[i].shape()));
    REQUIRE(ours[i].shape() == ort[i].shape());
    REQUIRE(ours[i].dtype() == ort[i].dtype());
    if (IsFloating(ours[i].dtype()))
      CompareFloats(test, ours[i], ort[i]);
    else if (IsInteger(ours[i].dtype()))
      CompareCodes(test, ours[i], ort[i]);
    else
      CHECK(ours[i] == ort[i]);
  }
}

Result<std::vector<std::vector<Tensor>>> OneJob(const std::vector<Tensor>& outputs) {
  return std::vector<std::vector<Tensor>>{outputs};
}

}  // namespace

void CheckOps(const std::string& group, const std::vector<OpCase>& cases) {
  if (SkippedWithoutOrt()) return;
  const ScratchFolder scratch("ops-" + group);
  std::vector<Prepared> prepared;
  std::vector<OrtJob> jobs;
  for (const OpCase& test : cases) {
    prepared.push_back(Prepare(test, scratch));
    jobs.push_back(prepared.back().job);
  }
  const auto all = RunOrt(jobs, scratch.path());
  for (size_t i = 0; i < cases.size(); ++i) {
    INFO(cases[i].name);
    auto executor = engine::Executor::Create(prepared[i].graph.model, {});
    INFO((executor.ok() ? "" : executor.status().message()));
    CHECK(executor.ok());
    // Where the runtime refuses one model, the others are told apart one by one.
    const auto single = all.ok() ? OneJob((*all)[i]) : RunOrt({jobs[i]}, scratch.path());
    INFO((single.ok() ? "" : single.status().message()));
    CHECK(single.ok());
    if (!executor.ok() || !single.ok()) continue;
    const auto ours = (*executor)->Run(prepared[i].graph.inputs);
    INFO((ours.ok() ? "" : ours.status().message()));
    CHECK(ours.ok());
    if (ours.ok()) Compare(cases[i], *ours, (*single)[0]);
  }
}

}  // namespace roundel::e2e
