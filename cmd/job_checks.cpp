#include "cmd/job_checks.h"

#include <cstdlib>
#include <filesystem>

#include "cmd/gate_params.h"
#include "cmd/job_names.h"
#include "cmd/loading.h"
#include "cmd/network_check.h"
#include "cmd/recipes.h"
#include "cmd/sample_histograms.h"
#include "cmd/self_check.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/eval/evaluation.h"
#include "lib/io/onnx.h"
#include "lib/targets/narrow.h"

namespace roundel::cmd {

using recipe::Params;

Status CheckJob(JobState& s) {
  const size_t before = s.report.warnings.size();
  ASSIGN_OR_RETURN(const std::string format, FormatOf(s.recipe, s.session.target));
  const graph::Model quantized = target::InFloat32(s.quantized, s.session.types);
  const CheckSubject subject = {s.original, s.session, quantized, format};
  const Params& check = s.recipe.Section("check");
  RETURN_IF_ERROR(SelfCheck(check, subject, &s.report));
  if (s.session.float_model && OverriddenFlag(check, "network", s.wants_page)) {
    const graph::Model& equivalent = *s.session.float_model;
    RETURN_IF_ERROR(MeasureNetwork(subject, equivalent, check.Int("samples"), &s.report));
    RETURN_IF_ERROR(AddSampleHistograms(subject, equivalent, check.Int("samples"), &s.report));
  }
  constexpr size_t kWorst = 10;
  report::KeepWorstHistograms(&s.report, kWorst);
  for (size_t i = before; i < s.report.warnings.size(); ++i) LogWarning(s.report.warnings[i]);
  return OkStatus();
}

namespace {

Status MeasureOnData(JobState& s, const Params& params, const std::string& float_path,
                     const eval::GateLimits& limits) {
  ASSIGN_OR_RETURN(LoadedModel original, LoadModel(float_path));
  target::WidenTypes(&original.model);
  data::DatasetFacts facts;
  ASSIGN_OR_RETURN(const auto data,
                   OpenData(params, {&original.model, &s.quantized}, "eval.path", &facts));
  ASSIGN_OR_RETURN(const auto first, engine::Executor::Create(original.model));
  ASSIGN_OR_RETURN(const auto second,
                   engine::Executor::Create(target::InFloat32(s.quantized, s.session.types)));
  const eval::EvaluateOptions options{.perplexity = limits.max_perplexity_rise || limits.max_kl};
  ASSIGN_OR_RETURN(const eval::Evaluation result,
                   eval::Evaluate(*first, second.get(), *data, options));
  s.report.Fact("eval_data_hash", facts.hash);
  s.report.Fact("eval_samples", result.samples);
  if (!result.class_output.empty()) {
    s.report.Fact("eval_top1_float", result.first.Top1Percent());
    s.report.Fact("eval_top1_quantized", result.second.Top1Percent());
  }
  for (const eval::OutputResult& output : result.outputs) {
    s.report.Fact(StrCat("eval_sqnr_db ", output.name), output.error.Sqnr());
    if (output.rows > 0)
      s.report.Fact(StrCat("eval_agreement_percent ", output.name), output.AgreePercent());
  }
  ASSIGN_OR_RETURN(s.report.gates, eval::JudgeGates(limits, result));
  return OkStatus();
}

// A folder next to the output, which holds the quantized model for a command that reads files: the
// output itself appears when all is measured.
class FolderBeside {
 public:
  explicit FolderBeside(const std::string& output) {
    std::string name = output + ".metric-XXXXXX";
    if (mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~FolderBeside() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  FolderBeside(const FolderBeside&) = delete;
  FolderBeside& operator=(const FolderBeside&) = delete;
  const std::string& path() const { return path_; }  // "" if it could not be made

 private:
  std::string path_;
};

Status MeasureCommand(JobState& s, const MetricFlags& flags, const std::string& float_path,
                      eval::Undecided undecided) {
  const OutputNames names = NamesFor(s.recipe);
  const FolderBeside folder(names.model);
  if (folder.path().empty())
    return InternalError(StrCat("cannot make a folder next to '", names.model, "'"));
  const std::string model =
      folder.path() + "/" + std::filesystem::path(names.model).filename().string();
  RETURN_IF_ERROR(io::WriteOnnx(s.quantized, model, {.external_data = names.external_data}));
  ASSIGN_OR_RETURN(const MetricValues values, MeasureMetric(flags, float_path, model));
  s.report.Fact("command_metric_float", *values.first);
  s.report.Fact("command_metric_quantized", *values.second);
  for (report::Gate& gate : JudgeMetric(flags, values, undecided))
    s.report.gates.push_back(std::move(gate));
  return OkStatus();
}

}  // namespace

Status MeasureJob(JobState& s, const std::string& float_path) {
  const Params params = WithSeed(s.recipe, "eval");
  ASSIGN_OR_RETURN(const eval::GateLimits limits,
                   LimitsOf(s.recipe.Section("gate"), params.Int("seed")));
  if (!params.String("path").empty())
    RETURN_IF_ERROR(MeasureOnData(s, params, float_path, limits));
  else if (limits.measures())
    return UsageError("the recipe has a gate but no eval data: set eval.path");
  if (limits.max_size) s.report.gates.push_back(eval::JudgeSize(limits, s.output_bytes));
  if (s.metric == nullptr || s.metric->command.empty()) return OkStatus();
  return MeasureCommand(s, *s.metric, float_path, limits.undecided);
}

}  // namespace roundel::cmd
