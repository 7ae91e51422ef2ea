#include "cmd/job_checks.h"

#include "cmd/loading.h"
#include "cmd/recipes.h"
#include "cmd/self_check.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/eval/evaluation.h"
#include "lib/targets/narrow.h"

namespace roundel::cmd {

using recipe::Params;

Status CheckJob(JobState& s) {
  const size_t before = s.report.warnings.size();
  ASSIGN_OR_RETURN(const std::string format, FormatOf(s.recipe, s.session.target));
  const graph::Model quantized = target::InFloat32(s.quantized, s.session.types);
  RETURN_IF_ERROR(
      SelfCheck(s.recipe.Section("check"), {s.original, s.session, quantized, format}, &s.report));
  for (size_t i = before; i < s.report.warnings.size(); ++i) LogWarning(s.report.warnings[i]);
  return OkStatus();
}

Status MeasureJob(JobState& s, const std::string& float_path) {
  const Params params = WithSeed(s.recipe, "eval");
  const Params& gate = s.recipe.Section("gate");
  if (params.String("path").empty()) {
    if (gate.IsDefault("min_sqnr") && gate.IsDefault("max_drop")) return OkStatus();
    return UsageError("the recipe has a gate but no eval data: set eval.path");
  }
  ASSIGN_OR_RETURN(LoadedModel original, LoadModel(float_path));
  target::WidenTypes(&original.model);
  data::DatasetFacts facts;
  ASSIGN_OR_RETURN(const auto data,
                   OpenData(params, {&original.model, &s.quantized}, "eval.path", &facts));
  ASSIGN_OR_RETURN(const auto first, engine::Executor::Create(original.model));
  ASSIGN_OR_RETURN(const auto second,
                   engine::Executor::Create(target::InFloat32(s.quantized, s.session.types)));
  ASSIGN_OR_RETURN(const eval::Evaluation result, eval::Evaluate(*first, second.get(), *data));
  s.report.Fact("eval_data_hash", facts.hash);
  s.report.Fact("eval_samples", result.samples);
  if (!result.class_output.empty()) {
    s.report.Fact("eval_top1_float", result.first.Top1Percent());
    s.report.Fact("eval_top1_quantized", result.second.Top1Percent());
  }
  for (const eval::OutputResult& output : result.outputs)
    s.report.Fact(StrCat("eval_sqnr_db ", output.name), output.error.Sqnr());
  return eval::CheckGate({gate.Float("min_sqnr"), gate.Float("max_drop")}, result);
}

}  // namespace roundel::cmd
