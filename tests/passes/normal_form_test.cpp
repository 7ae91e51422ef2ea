// Every pass on one model in every form that exporters write: in normal form they are equal.

#include <algorithm>

#include "lib/engine/normal_form.h"

#include "lib/engine/executor.h"
#include "lib/graph/check.h"
#include "lib/targets/export.h"
#include "passes/runner.h"
#include "tests/support/catch.h"
#include "tests/support/model_forms.h"
#include "tests/support/plain_form_model.h"
#include "tests/support/vector_source.h"

namespace roundel::passes {
namespace {

recipe::Step StepOf(const PassInfo& pass) {
  recipe::Step step{pass.name, recipe::Params(pass.params), 0};
  for (const recipe::ParamSpec& param : pass.params)
    if (param.name == "iterations")
      REQUIRE(step.params.SetFromText(pass.params, "iterations", "20").ok());
  return step;
}

// The pass behind those that it builds on.
std::vector<recipe::Step> StepsFor(const PassInfo& pass) {
  std::vector<recipe::Step> steps;
  if (pass.name != "bn_fold") steps.push_back(StepOf(*FindPass("bn_fold")));
  if (pass.needs_grids) steps.push_back(StepOf(*FindPass("calibrate")));
  steps.push_back(StepOf(pass));
  return steps;
}

struct Outcomes {
  std::vector<std::string> encodings;  // without names, sorted
  std::vector<Tensor> outputs;         // of the model that would be written
  size_t nodes = 0;
};

std::string Describe(const quant::Encoding& e) {
  std::string text = StrCat(static_cast<int>(e.role), " ", e.grid.Name(), " ", e.axis);
  for (const quant::QParams& p : e.params) text += StrFormat(" %a/%d", p.scale, p.zero_point);
  if (e.codes)
    for (const int64_t code : e.codes->ToInt64s()) text += StrCat(" ", code);
  return text;
}

Outcomes RunAll(graph::Model model, const std::vector<recipe::Step>& steps) {
  const auto lines = engine::MakeNormalForm(&model);
  INFO((lines.ok() ? "" : lines.status().message()));
  REQUIRE(lines.ok());
  Session session;
  session.model = std::move(model);
  session.target = target::LoadProfile("ort-cpu").value();
  session.grids = target::DefaultChoice(session.target);
  support::VectorSource data = support::RandomSource({4, 3, 6, 6}, 4, 5);
  session.data = &data;
  report::Report report;
  const Status ran = RunSteps(steps, {}, &session, &report);
  INFO(ran.message());
  REQUIRE(ran.ok());
  Outcomes outcomes;
  for (const auto& [name, encoding] : session.encodings)
    outcomes.encodings.push_back(Describe(encoding));
  std::sort(outcomes.encodings.begin(), outcomes.encodings.end());
  const auto exported = target::Export(session.model, session.encodings, {});
  INFO((exported.ok() ? "" : exported.status().message()));
  REQUIRE(exported.ok());
  outcomes.nodes = exported->graph->nodes().size();
  auto executor = engine::Executor::Create(*exported);
  REQUIRE(executor.ok());
  Random random(11);
  auto outputs = (*executor)->Run({support::RandomTensor({4, 3, 6, 6}, random)});
  REQUIRE(outputs.ok());
  outcomes.outputs = std::move(*outputs);
  return outcomes;
}

void CheckSame(const Outcomes& found, const Outcomes& wanted) {
  CHECK(found.encodings == wanted.encodings);
  CHECK(found.nodes == wanted.nodes);
  REQUIRE(found.outputs.size() == wanted.outputs.size());
  for (size_t i = 0; i < found.outputs.size(); ++i) CHECK(found.outputs[i] == wanted.outputs[i]);
}

TEST_CASE("every pass makes the same of every form of a model") {
  for (const PassInfo& pass : AllPasses()) {
    const std::vector<recipe::Step> steps = StepsFor(pass);
    const Outcomes wanted = RunAll(support::PlainFormModel(), steps);
    if (pass.needs_grids) REQUIRE(wanted.encodings.size() > 8);
    for (const support::ModelForm& form : support::ModelForms()) {
      INFO(pass.name << ", " << form.name);
      graph::Model model = support::PlainFormModel();
      form.apply(&model);
      REQUIRE(graph::CheckModel(&model).ok());
      CheckSame(RunAll(std::move(model), steps), wanted);
    }
  }
}

TEST_CASE("forms on top of each other") {
  const std::vector<recipe::Step> steps = StepsFor(*FindPass("bias_correct"));
  const Outcomes wanted = RunAll(support::PlainFormModel(), steps);
  const std::vector<support::ModelForm>& forms = support::ModelForms();
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Random random(seed);
    graph::Model model = support::PlainFormModel();
    std::string names;
    for (int i = 0; i < 3; ++i) {
      const support::ModelForm& form = forms[random.Below(forms.size())];
      names += form.name + "; ";
      form.apply(&model);
      INFO(names);
      REQUIRE(graph::CheckModel(&model).ok());
    }
    INFO(names);
    CheckSame(RunAll(std::move(model), steps), wanted);
  }
}

// Without a normal form, as the passes' own callers may have it.
TEST_CASE("passes do not stumble over Constant nodes") {
  for (const PassInfo& pass : AllPasses()) {
    INFO(pass.name);
    graph::Model model = support::PlainFormModel();
    support::ModelForms()[0].apply(&model);
    Session session;
    session.model = std::move(model);
    session.target = target::LoadProfile("ort-cpu").value();
    session.grids = target::DefaultChoice(session.target);
    support::VectorSource data = support::RandomSource({4, 3, 6, 6}, 4, 5);
    session.data = &data;
    report::Report report;
    const Status ran = RunSteps(StepsFor(pass), {}, &session, &report);
    INFO(ran.message());
    CHECK(ran.ok());
  }
}

}  // namespace
}  // namespace roundel::passes
