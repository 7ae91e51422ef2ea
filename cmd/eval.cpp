#include <CLI/CLI.hpp>

#include <memory>
#include <optional>

#include "cmd/case_output.h"
#include "cmd/command.h"
#include "cmd/described.h"
#include "cmd/eval_output.h"
#include "cmd/gate_params.h"
#include "cmd/loading.h"
#include "cmd/metric_gates.h"
#include "cmd/options.h"
#include "lib/base/text.h"
#include "lib/eval/evaluation.h"
#include "lib/targets/float_types.h"

namespace roundel::cmd {
namespace {

struct Options {
  std::string model, second, encodings;
  std::string metric = "auto";
  DataFlags data;
  GateFlags gates;
  MetricFlags command;
  CaseFlags cases;

  bool two() const { return !second.empty() || !encodings.empty(); }
};

struct Models {
  LoadedModel first_model;
  std::string second_name;                   // "" if there is only one
  int64_t last_bytes = 0;                    // of the file of the second, or of the only one
  std::optional<graph::Model> second_model;  // from a separate file
  std::unique_ptr<engine::Executor> first, second;
};

// Both models are fed with one set of data.
bool SameInputTypes(const graph::Model& a, const graph::Model& b) {
  for (const graph::ValueInfo& input : a.graph->inputs)
    for (const graph::ValueInfo& other : b.graph->inputs)
      if (input.name == other.name && input.dtype != other.dtype) return false;
  return true;
}

Result<Models> LoadModels(const Options& options) {
  Models models;
  ASSIGN_OR_RETURN(models.first_model, LoadModel(options.model));
  graph::Model& model = models.first_model.model;
  RETURN_IF_ERROR(CheckRunnable(model, options.model));
  // Grids are for values in float32.
  if (!options.encodings.empty()) target::WidenTypes(&models.first_model.model);
  if (!options.second.empty()) {
    ASSIGN_OR_RETURN(LoadedModel second, LoadModel(options.second));
    RETURN_IF_ERROR(CheckRunnable(second.model, options.second));
    if (!SameInputTypes(model, second.model)) {
      target::WidenTypes(&models.first_model.model);
      target::WidenTypes(&second.model);
    }
    ASSIGN_OR_RETURN(models.second, engine::Executor::Create(second.model));
    models.second_model = std::move(second.model);
    models.last_bytes = second.bytes;
    models.second_name = options.second;
  } else if (!options.encodings.empty()) {
    ASSIGN_OR_RETURN(const Described described,
                     LoadDescribed(models.first_model, options.encodings));
    ASSIGN_OR_RETURN(models.second,
                     engine::Executor::Create(described.model, {.simulate = &described.encodings}));
    models.second_name = StrCat(options.model, " with ", options.encodings);
  }
  if (options.second.empty()) models.last_bytes = models.first_model.bytes;
  ASSIGN_OR_RETURN(models.first, engine::Executor::Create(model));
  return models;
}

// What the flags ask for, apart from the models.
struct Plan {
  eval::GateLimits limits;
  recipe::Params data{data::DataSpecs()};
  bool runs_models = true;  // a metric command alone needs no data
};

Result<Plan> PlanEval(const Options& options) {
  Plan plan;
  recipe::Params gates(GateParams());
  RETURN_IF_ERROR(options.gates.Apply(&gates));
  RETURN_IF_ERROR(options.data.Apply(&plan.data));
  ASSIGN_OR_RETURN(plan.limits, LimitsOf(gates, plan.data.Int("seed")));
  if (plan.limits.compares() && !options.two())
    return UsageError("a gate compares two models: give MODEL2 or --encodings");
  if (plan.limits.max_size && !options.encodings.empty())
    return UsageError("--max-size is about a file: give the quantized model as MODEL2");
  if (!options.command.command.empty() && !options.encodings.empty())
    return UsageError("--metric-command runs files: give the quantized model as MODEL2");
  RETURN_IF_ERROR(CheckMetricFlags(options.command, options.two()));
  plan.runs_models = options.command.command.empty() || !plan.data.String("path").empty() ||
                     plan.limits.measures();
  return plan;
}

Status RunModels(const Options& options, const Plan& plan, const Models& models,
                 Measured* measured) {
  std::vector<const graph::Model*> run = {&models.first_model.model};
  if (models.second_model) run.push_back(&*models.second_model);
  ASSIGN_OR_RETURN(const auto data, OpenData(plan.data, run, "--data PATH", &measured->facts));
  const eval::EvaluateOptions evaluate{.perplexity = options.metric == "perplexity"};
  const bool alone = models.second == nullptr && options.command.command.empty();
  if (alone && !measured->facts.has_labels && !evaluate.perplexity)
    return UsageError(
        "one model without labels has nothing to measure: give --labels, MODEL2 or --metric "
        "perplexity");
  ASSIGN_OR_RETURN(measured->result,
                   eval::Evaluate(*models.first, models.second.get(), *data, evaluate));
  ASSIGN_OR_RETURN(measured->gates, eval::JudgeGates(plan.limits, measured->result));
  return OkStatus();
}

Status RunEval(const Options& options, Measured* measured, Console& console) {
  ASSIGN_OR_RETURN(const Plan plan, PlanEval(options));
  ASSIGN_OR_RETURN(const Models models, LoadModels(options));
  measured->first = models.first_model.path;
  measured->second = models.second_name;
  measured->seed = plan.limits.seed;
  if (plan.runs_models) RETURN_IF_ERROR(RunModels(options, plan, models, measured));
  if (plan.limits.max_size)
    measured->gates.push_back(eval::JudgeSize(plan.limits, models.last_bytes));
  ASSIGN_OR_RETURN(measured->command,
                   MeasureMetric(options.command, options.model, options.second));
  for (report::Gate& gate : JudgeMetric(options.command, measured->command, plan.limits.undecided))
    measured->gates.push_back(std::move(gate));
  if (console.json)
    console.out << EvalJson(*measured).dump(2, ' ', false,
                                            nlohmann::ordered_json::error_handler_t::replace)
                << "\n";
  else
    PrintEval(*measured, console.out);
  return eval::GateStatus(measured->gates);
}

Status RunWithCases(const Options& options, Console& console) {
  RETURN_IF_ERROR(
      CheckCaseFlags(options.cases, {options.model, options.second, options.encodings}, console));
  Measured measured;
  Status status = RunEval(options, &measured, console);
  const std::string& model = options.second.empty() ? options.model : options.second;
  return WriteCases(options.cases, "roundel eval", model,
                    report::CasesOf(measured.gates, model, model), std::move(status), console);
}

}  // namespace

CommandRun SetupEval(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "ONNX model")->required();
  CLI::Option* second =
      app.add_option("MODEL2", options->second, "Quantized model to compare with MODEL");
  app.add_option("--encodings", options->encodings,
                 "Compare MODEL with its simulation under this encodings file")
      ->excludes(second)
      ->option_text("FILE");
  app.add_option("--metric", options->metric,
                 "Metric to measure: auto = top-1 accuracy if there are labels; perplexity = "
                 "perplexity of the next token, for language models [auto]")
      ->check(CLI::IsMember({"auto", "perplexity"}))
      ->option_text("auto|perplexity");
  AddMetricFlags(app, &options->command);
  options->gates.AddTo(app);
  AddCaseFlags(app, &options->cases);
  options->data.AddTo(app, "--data");
  app.footer(
      "Example: roundel eval model.onnx model_int8.onnx --data images/ --labels folder \\\n"
      "             --preset imagenet --max-drop 1");
  return [options](Console& console) { return RunWithCases(*options, console); };
}

}  // namespace roundel::cmd
