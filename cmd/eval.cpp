#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>
#include <optional>

#include "cmd/command.h"
#include "cmd/described.h"
#include "cmd/loading.h"
#include "cmd/options.h"
#include "lib/base/text.h"
#include "lib/eval/evaluation.h"
#include "lib/report/report.h"
#include "lib/targets/float_types.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, second, encodings;
  std::string metric = "auto";
  DataFlags data;
  eval::Gate gate;
};

struct Models {
  LoadedModel first_model;
  std::string second_name;                   // "" if there is only one
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
    models.second_name = options.second;
  } else if (!options.encodings.empty()) {
    ASSIGN_OR_RETURN(const Described described,
                     LoadDescribed(models.first_model, options.encodings));
    ASSIGN_OR_RETURN(models.second,
                     engine::Executor::Create(described.model, {.simulate = &described.encodings}));
    models.second_name = StrCat(options.model, " with ", options.encodings);
  }
  ASSIGN_OR_RETURN(models.first, engine::Executor::Create(model));
  return models;
}

Json ToJson(const Models& models, const eval::Evaluation& result, const data::DatasetFacts& facts) {
  const auto model_json = [&](const std::string& path, const quant::TopCounts& counts) {
    Json json = {{"model", path}};
    if (!result.class_output.empty()) {
      json["top1_percent"] = counts.Top1Percent();
      json["top5_percent"] = counts.Top5Percent();
    }
    return json;
  };
  Json json = {{"schema", "roundel.eval/1"},
               {"data", facts.description},
               {"data_hash", facts.hash},
               {"samples", result.samples},
               {"skipped", result.skipped},
               {"models", {model_json(models.first_model.path, result.first)}}};
  if (models.second != nullptr)
    json["models"].push_back(model_json(models.second_name, result.second));
  if (result.language.tokens > 0) {
    json["tokens"] = result.language.tokens;
    json["models"][0]["perplexity"] = result.language.Perplexity();
    if (models.second != nullptr) {
      json["models"][1]["perplexity"] = result.language.SecondPerplexity();
      json["kl_nats"] = result.language.MeanKl();
    }
  }
  if (models.second == nullptr) return json;
  json["outputs"] = Json::array();
  for (const eval::OutputResult& output : result.outputs) {
    Json entry = {{"name", output.name},
                  {"sqnr_db", output.error.Sqnr()},
                  {"cosine", output.error.Cosine()},
                  {"max_error", output.error.MaxError()},
                  {"not_finite", output.error.not_finite()},
                  {"differing_shapes", output.differing_shapes}};
    if (output.rows > 0) entry["top1_agreement_percent"] = output.AgreePercent();
    json["outputs"].push_back(std::move(entry));
  }
  return json;
}

void PrintLanguage(const Models& models, const eval::TokenSums& sums, std::ostream& out) {
  if (sums.tokens == 0) return;
  std::vector<std::vector<std::string>> rows = {{"model", "perplexity", "KL (nats)"}};
  rows.push_back({models.first_model.path, StrFormat("%.4f", sums.Perplexity()), "-"});
  if (models.second != nullptr)
    rows.push_back({models.second_name, StrFormat("%.4f", sums.SecondPerplexity()),
                    StrFormat("%.5f", sums.MeanKl())});
  out << "\n" << sums.tokens << " predicted tokens\n" << report::TextTable(rows);
}

void Print(const Models& models, const eval::Evaluation& result, const data::DatasetFacts& facts,
           std::ostream& out) {
  out << result.samples << " samples";
  if (result.skipped > 0) out << ", " << result.skipped << " skipped";
  if (!facts.feeding.empty()) out << ", " << Printable(facts.feeding);
  out << "\n";
  if (!result.class_output.empty()) {
    std::vector<std::vector<std::string>> rows = {{"model", "top-1 %", "top-5 %"}};
    const auto add = [&rows](const std::string& name, const quant::TopCounts& counts) {
      rows.push_back(
          {name, StrFormat("%.2f", counts.Top1Percent()), StrFormat("%.2f", counts.Top5Percent())});
    };
    add(models.first_model.path, result.first);
    if (models.second != nullptr) add(models.second_name, result.second);
    out << "\n" << report::TextTable(rows);
  }
  PrintLanguage(models, result.language, out);
  if (models.second == nullptr) return;
  std::vector<std::vector<std::string>> rows = {
      {"output", "SQNR dB", "cosine", "max error", "top-1 agreement %"}};
  for (const eval::OutputResult& output : result.outputs)
    rows.push_back({Printable(output.name), StrFormat("%.2f", output.error.Sqnr()),
                    StrFormat("%.6f", output.error.Cosine()), StrCat(output.error.MaxError()),
                    output.rows == 0 ? "-" : StrFormat("%.2f", output.AgreePercent())});
  out << "\n" << report::TextTable(rows);
  for (const eval::OutputResult& output : result.outputs) {
    if (output.differing_shapes > 0)
      out << Printable(output.name) << ": the shapes differ in " << output.differing_shapes
          << " batches, which are left out\n";
    if (output.error.not_finite() > 0)
      out << Printable(output.name) << ": " << output.error.not_finite()
          << " values are NaN or infinite and left out\n";
  }
}

Status RunEval(const Options& options, Console& console) {
  const bool gated = options.gate.min_sqnr > 0 || options.gate.max_drop < 100;
  if (gated && options.second.empty() && options.encodings.empty())
    return UsageError("a gate compares two models: give MODEL2 or --encodings");
  ASSIGN_OR_RETURN(const Models models, LoadModels(options));
  recipe::Params params(data::DataSpecs());
  RETURN_IF_ERROR(options.data.Apply(&params));
  data::DatasetFacts facts;
  std::vector<const graph::Model*> run = {&models.first_model.model};
  if (models.second_model) run.push_back(&*models.second_model);
  ASSIGN_OR_RETURN(const auto data, OpenData(params, run, "--data PATH", &facts));
  const eval::EvaluateOptions evaluate{.perplexity = options.metric == "perplexity"};
  if (models.second == nullptr && !facts.has_labels && !evaluate.perplexity)
    return UsageError(
        "one model without labels has nothing to measure: give --labels, MODEL2 or --metric "
        "perplexity");
  ASSIGN_OR_RETURN(const eval::Evaluation result,
                   eval::Evaluate(*models.first, models.second.get(), *data, evaluate));
  if (console.json)
    console.out << ToJson(models, result, facts).dump(2, ' ', false, Json::error_handler_t::replace)
                << "\n";
  else
    Print(models, result, facts, console.out);
  return eval::CheckGate(options.gate, result);
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
  app.add_option("--min-sqnr", options->gate.min_sqnr,
                 "Exit with code 5 if the SQNR of an output is below this")
      ->check(CLI::Range(0.0, 200.0))
      ->option_text("dB");
  app.add_option("--max-drop", options->gate.max_drop,
                 "Exit with code 5 if top-1 accuracy drops by more than this, in percentage points")
      ->check(CLI::Range(0.0, 100.0))
      ->option_text("POINTS");
  options->data.AddTo(app, "--data");
  app.footer(
      "Example: roundel eval model.onnx model_int8.onnx --data images/ --labels folder \\\n"
      "             --preset imagenet --max-drop 1");
  return [options](Console& console) { return RunEval(*options, console); };
}

}  // namespace roundel::cmd
