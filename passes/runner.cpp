#include "passes/runner.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "lib/base/interrupt.h"
#include "lib/base/lanes.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/engine/executor.h"
#include "lib/graph/bodies.h"
#include "lib/graph/check.h"
#include "lib/tensor/first_samples.h"

namespace roundel::passes {
namespace {

using Batches = std::vector<std::vector<Tensor>>;  // by batch, then by input or output

Result<Batches> RunBatches(const graph::Model& model, const Batches& inputs) {
  ASSIGN_OR_RETURN(auto executor, engine::Executor::Create(model));
  Batches outputs;
  for (const std::vector<Tensor>& batch : inputs) {
    ASSIGN_OR_RETURN(auto out, executor->Run(batch));
    outputs.push_back(std::move(out));
  }
  return outputs;
}

Result<Batches> FirstBatches(DataSource* data, int64_t samples) {
  FirstSamples first(*data, samples);
  Batches inputs;
  RETURN_IF_ERROR(first.Rewind());
  while (true) {
    ASSIGN_OR_RETURN(std::optional<Batch> batch, first.Next());
    if (!batch) return inputs;
    inputs.push_back(std::move(batch->inputs));
  }
}

// The largest |after - before| over all float outputs, relative to each output's range.
double LargestDifference(const Batches& before, const Batches& after) {
  double largest = 0;
  for (size_t batch = 0; batch < before.size(); ++batch) {
    for (size_t i = 0; i < before[batch].size(); ++i) {
      if (!IsFloating(before[batch][i].dtype())) continue;
      const Tensor a = before[batch][i].ToFloat(), b = after[batch][i].ToFloat();
      if (a.shape() != b.shape()) return std::numeric_limits<double>::infinity();
      double low = 0, high = 0, difference = 0;
      for (int64_t k = 0; k < a.size(); ++k) {
        const double x = a.data<float>()[k], y = b.data<float>()[k];
        low = std::min(low, x);
        high = std::max(high, x);
        const double d = std::fabs(x - y);
        difference = std::max(difference, std::isfinite(d) ? d : (x == y ? 0.0 : HUGE_VAL));
      }
      if (difference > 0) largest = std::max(largest, difference / std::max(high - low, 1e-30));
    }
  }
  return largest;
}

// A comparison is meaningless for outputs that are undefined in the model itself.
Status CheckOutputsAreNumbers(const Batches& outputs, const graph::Graph& graph) {
  for (const std::vector<Tensor>& batch : outputs) {
    for (size_t i = 0; i < batch.size(); ++i) {
      if (!IsFloating(batch[i].dtype())) continue;
      const Tensor values = batch[i].ToFloat();
      const float* x = values.data<float>();
      if (std::any_of(x, x + values.size(), [](float v) { return std::isnan(v); }))
        return ModelError(
            StrCat("the model's own output '", Printable(graph.outputs[i].name),
                   "' holds NaN on the first samples, before anything is changed: check "
                   "the model and the preprocessing of the data"));
    }
  }
  return OkStatus();
}

// Checks that the model after the pass computes the same as `before` on the first samples. The two
// models run in parallel.
Status Verify(const graph::Model& before, const RunnerOptions& options, Outcome outcome,
              Session* session) {
  ASSIGN_OR_RETURN(const Batches inputs, FirstBatches(session->data, options.verify_samples));
  const graph::Model* models[2] = {&before, &session->model};
  std::optional<Result<Batches>> outputs[2];
  TwoSides().Run([&](int i) { outputs[i] = RunBatches(*models[i], inputs); });
  for (const auto& side : outputs)
    if (!side->ok()) return side->status();
  RETURN_IF_ERROR(CheckOutputsAreNumbers(**outputs[0], *before.graph));
  const double difference = LargestDifference(**outputs[0], **outputs[1]);
  session->report->Metric("output_difference", difference);
  if (outcome == Outcome::kApproximate || difference <= options.verify_tolerance) return OkStatus();
  return InternalError(StrCat("the pass changed the model's outputs by ", difference,
                              " of their range on the first samples (allowed: ",
                              options.verify_tolerance, "); please report this model"));
}

// Passes that use only nodes and constants also process those of bodies.
Result<Outcome> RunOnAllNodes(const PassInfo& pass, const recipe::Params& params,
                              Session* session) {
  const bool edits_graph = pass.float_equivalent || pass.needs_input_means;
  if (!edits_graph || !graph::HasBodies(*session->model.graph)) return pass.run(*session, params);
  const auto original = graph::Clone(*session->model.graph);
  const graph::Bodies bodies = graph::FlattenBodies(&session->model);
  session->running_graph = original;
  Result<Outcome> outcome = pass.run(*session, params);
  session->running_graph.reset();
  const bool changed = outcome.ok() && *outcome != Outcome::kUnchanged;
  if (changed)
    graph::RestoreBodies(bodies, &session->model);
  else
    session->model.graph = original;
  return outcome;
}

}  // namespace

Status RunPass(const PassInfo& pass, const recipe::Params& params, const RunnerOptions& options,
               Session* session) {
  if (Interrupted()) return InterruptedError();
  const bool static_grids = session->grids.mode == target::ActivationMode::kStatic;
  bool spares_data = pass.data_for_static_only && !static_grids;
  for (const std::string& parameter : pass.data_substitutes)
    spares_data = spares_data || !params.IsDefault(parameter);
  if (pass.needs_data && session->data == nullptr && !spares_data)
    return UsageError(StrCat(
        "needs calibration data: give --calib, or a data section in the recipe",
        pass.data_substitutes.empty() ? "" : ", or set " + Join(pass.data_substitutes, " or ")));
  if (pass.needs_grids && session->encodings.empty() && !session->placement)
    return UsageError("works on grids, so it must come after calibrate");
  if (pass.float_equivalent && !session->encodings.empty())
    return UsageError(
        "changes the float model, so it must come before the passes that assign grids");
  const bool verify =
      pass.float_equivalent && session->data != nullptr && options.verify_samples > 0;
  // Tensors are shared until the pass writes to them.
  const graph::Model before = verify ? graph::Clone(session->model) : graph::Model();
  ASSIGN_OR_RETURN(const Outcome outcome, RunOnAllNodes(pass, params, session));
  session->report->outcome = outcome == Outcome::kUnchanged ? "unchanged" : "changed";
  if (outcome == Outcome::kUnchanged) return OkStatus();
  if (pass.float_equivalent) session->input_means.reset();  // those of another graph
  if (outcome == Outcome::kApproximate) session->report->Metric("approximate", true);
  RETURN_IF_ERROR(graph::CheckModel(&session->model));
  return verify ? Verify(before, options, outcome, session) : OkStatus();
}

namespace {

// Checks that need no data.
Status CheckOrder(const std::vector<recipe::Step>& steps) {
  std::string corrected;
  for (const recipe::Step& step : steps) {
    const PassInfo* pass = FindPass(step.pass);
    INVARIANT(pass != nullptr, "the recipe was validated against the list of passes");
    if (pass->rounds_weights && !corrected.empty())
      return UsageError(StrCat("pass ", step.pass, ": comes after ", corrected,
                               ", which corrects weights as they are rounded before: put it "
                               "before, or leave ",
                               corrected, " out"));
    if (pass->corrects_rounding) corrected = step.pass;
  }
  return OkStatus();
}

Status CheckDivisible(const std::vector<recipe::Step>& steps) {
  const bool rounds = std::any_of(steps.begin(), steps.end(), [](const recipe::Step& step) {
    const PassInfo* pass = FindPass(step.pass);
    return pass && pass->rounds_weights;
  });
  if (rounds) return OkStatus();
  return UsageError(
      "--shard and --sums-only divide the layers of a pass that rounds weights, such as "
      "optimal_rounding: this recipe has none");
}

}  // namespace

Status RunSteps(const std::vector<recipe::Step>& steps, const RunnerOptions& options,
                Session* session, report::Report* report) {
  RETURN_IF_ERROR(CheckOrder(steps));
  if (session->part) RETURN_IF_ERROR(CheckDivisible(steps));
  session->expects_input_means =
      std::any_of(steps.begin(), steps.end(), [](const recipe::Step& step) {
        const PassInfo* pass = FindPass(step.pass);
        return pass && pass->needs_input_means;
      });
  for (const recipe::Step& step : steps) {
    const PassInfo* pass = FindPass(step.pass);
    INVARIANT(pass != nullptr, "the recipe was validated against the list of passes");
    LogDebug(StrCat("pass ", step.pass));
    if (!session->float_model && !pass->float_equivalent)  // tensors are shared
      session->float_model = std::make_shared<graph::Model>(graph::Clone(session->model));
    const auto start = std::chrono::steady_clock::now();
    report->passes.push_back({.name = step.pass});
    session->report = &report->passes.back();
    Status status = RunPass(*pass, step.params, options, session);
    session->report->seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    session->report->peak_rss_bytes = report::PeakRssBytes();
    session->report = nullptr;
    if (!status.ok()) return std::move(status).At("pass " + step.pass);
    if (session->part && pass->rounds_weights) return OkStatus();  // the rest needs all layers
  }
  return OkStatus();
}

}  // namespace roundel::passes
