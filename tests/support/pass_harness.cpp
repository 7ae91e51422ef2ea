#include "tests/support/pass_harness.h"
#include "tests/support/catch.h"

#include <algorithm>
#include <cmath>

#include "lib/base/random.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/check.h"
#include "lib/graph/text.h"

namespace roundel::support {
namespace {

constexpr int64_t kAllElements = 1 << 20;  // texts are compared in full

struct Prepared {
  const passes::PassInfo* info = nullptr;
  recipe::Params params;
};

Prepared Prepare(const std::string& pass, const PassOptions& options) {
  Prepared prepared{passes::FindPass(pass), {}};
  REQUIRE(prepared.info != nullptr);
  REQUIRE(prepared.info->run != nullptr);
  prepared.params = recipe::Params(prepared.info->params);
  for (const auto& [name, text] : options.params) {
    const Status status = prepared.params.SetFromText(prepared.info->params, name, text);
    INFO(status.message());
    REQUIRE(status.ok());
  }
  return prepared;
}

void CheckValid(graph::Model* model) {
  const Status status = graph::CheckModel(model);
  INFO(status.message());
  INFO(graph::Print(*model));
  REQUIRE(status.ok());
}

std::vector<Tensor> MakeInputs(const graph::Graph& graph, const std::vector<std::string>& names,
                               uint64_t seed) {
  Random random(seed);
  std::vector<Tensor> inputs;
  for (const std::string& name : names) {
    const auto info = std::find_if(graph.inputs.begin(), graph.inputs.end(),
                                   [&](const auto& input) { return input.name == name; });
    REQUIRE(info != graph.inputs.end());
    REQUIRE(info->shape);
    Shape shape;
    for (const graph::Dim& dim : *info->shape) shape.push_back(dim.value.value_or(2));
    Tensor tensor = Tensor::Empty(DType::kFloat, shape);
    float* to = tensor.mutable_data<float>();
    for (int64_t i = 0; i < tensor.size(); ++i) to[i] = static_cast<float>(random.Normal());
    inputs.push_back(tensor.FromFloatTo(info->dtype));
  }
  return inputs;
}

}  // namespace

std::string PassRun::Ops() const {
  std::vector<std::string> types;
  for (const graph::NodePtr& node : after().graph->nodes()) types.push_back(node->op_type);
  return Join(types, " ");
}

std::string PassRun::Reason(const std::string& subject, const std::string& action) const {
  std::string all;
  for (const report::Record& record : report.records) {
    if (record.subject.find(subject) != std::string::npos && record.action == action)
      return record.reason;
    all += StrCat(record.subject, ": ", record.action, ": ", record.reason, "\n");
  }
  FAIL("no record '" << action << "' about '" << subject << "' among\n" << all);
  return "";
}

int64_t PassRun::Count(const std::string& action) const {
  return std::count_if(report.records.begin(), report.records.end(),
                       [&](const report::Record& record) { return record.action == action; });
}

std::string PassRun::Metric(const std::string& name) const {
  for (const auto& [key, value] : report.metrics)
    if (key == name) return std::visit([](const auto& v) { return StrCat(v); }, value);
  return "";
}

const Tensor& PassRun::Constant(const std::string& name) const {
  const Tensor* constant = after().graph->Constant(name);
  INFO("constant " << name << " in\n" << graph::Print(after()));
  REQUIRE(constant != nullptr);
  return *constant;
}

PassRun RunPass(const std::string& pass, graph::Model model, const PassOptions& options) {
  const Prepared prepared = Prepare(pass, options);
  CheckValid(&model);
  PassRun run;
  run.before = graph::Clone(model);
  run.session.model = std::move(model);
  run.session.data = options.data;
  run.session.output_moments = options.statistics;
  run.session.report = &run.report;
  const auto outcome = prepared.info->run(run.session, prepared.params);
  INFO((outcome.ok() ? "" : outcome.status().message()));
  REQUIRE(outcome.ok());
  run.outcome = *outcome;
  CheckValid(&run.session.model);
  const std::string text = graph::Print(run.session.model, kAllElements);
  CHECK((text != graph::Print(run.before, kAllElements)) == (run.outcome != Outcome::kUnchanged));
  report::PassReport second;
  run.session.report = &second;
  const auto again = prepared.info->run(run.session, prepared.params);
  REQUIRE(again.ok());
  CHECK(*again == Outcome::kUnchanged);
  CHECK(graph::Print(run.session.model, kAllElements) == text);
  run.session.report = nullptr;
  return run;
}

PassRun RunPass(const std::string& pass, const std::string& model, const PassOptions& options) {
  return RunPass(pass, ParseModel(model), options);
}

Status PassError(const std::string& pass, const std::string& model, const PassOptions& options) {
  const Prepared prepared = Prepare(pass, options);
  Session session;
  report::PassReport report;
  session.model = ParseModel(model);
  CheckValid(&session.model);
  session.data = options.data;
  session.output_moments = options.statistics;
  session.report = &report;
  auto outcome = prepared.info->run(session, prepared.params);
  REQUIRE_FALSE(outcome.ok());
  return std::move(outcome).status();
}

std::vector<Tensor> RunModel(const graph::Model& model, uint64_t seed) {
  engine::ExecutorOptions options;
  options.fast_kernels = false;
  auto executor = engine::Executor::Create(model, options);
  INFO((executor.ok() ? "" : executor.status().message()));
  REQUIRE(executor.ok());
  auto outputs = (*executor)->Run(MakeInputs(*model.graph, (*executor)->input_names(), seed));
  INFO((outputs.ok() ? "" : outputs.status().message()));
  REQUIRE(outputs.ok());
  return std::move(*outputs);
}

double OutputDifference(const graph::Model& a, const graph::Model& b, uint64_t seed) {
  REQUIRE(a.graph->outputs.size() == b.graph->outputs.size());
  for (size_t i = 0; i < a.graph->outputs.size(); ++i)
    REQUIRE(a.graph->outputs[i].name == b.graph->outputs[i].name);
  const std::vector<Tensor> first = RunModel(a, seed), second = RunModel(b, seed);
  double largest = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    REQUIRE(first[i].shape() == second[i].shape());
    const Tensor x = first[i].ToFloat(), y = second[i].ToFloat();
    double low = 0, high = 0, difference = 0;
    for (int64_t k = 0; k < x.size(); ++k) {
      const double p = x.data<float>()[k], q = y.data<float>()[k];
      REQUIRE(std::isfinite(p));
      REQUIRE(std::isfinite(q));
      low = std::min(low, p);
      high = std::max(high, p);
      difference = std::max(difference, std::fabs(p - q));
    }
    largest = std::max(largest, difference / std::max(high - low, 1e-30));
  }
  return largest;
}

}  // namespace roundel::support
