#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "cmd/case_output.h"
#include "cmd/command.h"
#include "cmd/described.h"
#include "cmd/loading.h"
#include "cmd/options.h"
#include "cmd/regression.h"
#include "cmd/tensor_errors.h"
#include "lib/base/text.h"
#include "lib/engine/normal_form.h"
#include "lib/report/report.h"
#include "lib/targets/float_types.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, second, encodings;
  DataFlags data;
  int64_t limit = 20;
  std::optional<double> min_sqnr;
  RegressionOptions regression;
  CaseFlags cases;
};

Result<ComparedModels> OpenNamed(const Options& options, const graph::Model& model,
                                 const graph::Model& other, const quant::EncodingTable* table) {
  ASSIGN_OR_RETURN(ComparedModels models, OpenCompared(model, other, table));
  if (!models.pairs.empty()) return models;
  return ModelError(StrCat("'", options.second, "' has no value with a name of '", options.model,
                           "': was it made from this model?"));
}

// `other`: the second model, if it is in a separate file.
Result<ComparedModels> OpenSides(const Options& options, LoadedModel* loaded,
                                 const target::FloatTypes& types,
                                 std::optional<graph::Model>* other) {
  if (options.second.empty()) {
    ASSIGN_OR_RETURN(const Described described, LoadDescribed(*loaded, options.encodings));
    return OpenNamed(options, loaded->model, described.model, &described.encodings);
  }
  ASSIGN_OR_RETURN(LoadedModel second, LoadModel(options.second));
  RETURN_IF_ERROR(CheckRunnable(second.model, options.second));
  target::WidenTypes(&second.model);
  *other = target::InFloat32(second.model, types);
  // Values inside functions have the names that quantize gives them.
  RETURN_IF_ERROR(engine::MakeNormalForm(&loaded->model).status());
  return OpenNamed(options, loaded->model, **other, nullptr);
}

Result<int64_t> CompareAll(DataSource& data, ComparedModels* models) {
  ASSIGN_OR_RETURN(const int64_t samples, AddTensorErrors(data, models));
  // Worst first; NaN (nothing compared) last; equal ones in execution order.
  std::stable_sort(models->pairs.begin(), models->pairs.end(),
                   [](const ValuePair& a, const ValuePair& b) {
                     const double x = a.error.Sqnr(), y = b.error.Sqnr();
                     return std::isnan(y) ? !std::isnan(x) : x < y;
                   });
  return samples;
}

Json ToJson(const Options& options, const ComparedModels& sides, int64_t samples) {
  Json json = {{"schema", "roundel.compare/1"},
               {"model", options.model},
               {"quantized", options.second.empty() ? options.encodings : options.second},
               {"samples", samples},
               {"tensors", Json::array()}};
  for (const ValuePair& pair : sides.pairs)
    json["tensors"].push_back({{"name", pair.value},
                               {"quantized_name", pair.quantized},
                               {"position", pair.position},
                               {"op_type", pair.op_type},
                               {"sqnr_db", pair.error.Sqnr()},
                               {"cosine", pair.error.Cosine()},
                               {"max_error", pair.error.MaxError()},
                               {"not_finite", pair.error.not_finite()},
                               {"differing_shapes", pair.differing_shapes}});
  return json;
}

void Print(const Options& options, const ComparedModels& sides, int64_t samples,
           const data::DatasetFacts& facts, std::ostream& out) {
  std::vector<std::vector<std::string>> rows = {
      {"SQNR dB", "cosine", "max error", "position", "op", "tensor"}};
  const size_t shown = options.limit == 0
                           ? sides.pairs.size()
                           : std::min(sides.pairs.size(), static_cast<size_t>(options.limit));
  for (size_t i = 0; i < shown; ++i) {
    const ValuePair& pair = sides.pairs[i];
    rows.push_back({StrFormat("%.2f", pair.error.Sqnr()), StrFormat("%.6f", pair.error.Cosine()),
                    StrCat(pair.error.MaxError()), StrCat(pair.position), pair.op_type,
                    Printable(pair.value)});
  }
  out << report::TextTable(rows) << "\n";
  out << shown << " of " << sides.pairs.size() << " tensors, worst first; " << samples << " samples"
      << (facts.feeding.empty() ? "" : ", " + Printable(facts.feeding)) << "\n";
}

// A case for each tensor that was compared.
void AddCases(const Options& options, const ComparedModels& sides,
              std::vector<report::Case>* cases) {
  if (!options.min_sqnr) return;
  const std::string& model = options.second.empty() ? options.encodings : options.second;
  for (const ValuePair& pair : sides.pairs) {
    if (pair.error.count() == 0) continue;
    const double sqnr = pair.error.Sqnr();
    const bool good = sqnr >= *options.min_sqnr;
    cases->push_back(
        {.suite = model,
         .name = pair.value,
         .state = good ? report::Case::State::kPassed : report::Case::State::kFailed,
         .message = StrFormat("tensor '%s' (%s) has an SQNR of %.2f dB, %s %.2f dB",
                              Printable(pair.value).c_str(), pair.op_type.c_str(), sqnr,
                              good ? "at least" : "less than", *options.min_sqnr),
         .file = model,
         .severity = *options.min_sqnr - sqnr});
  }
}

// Of the cases, which are sorted, worst first.
Status TensorStatus(const std::vector<report::Case>& cases) {
  const auto failed = std::count_if(cases.begin(), cases.end(), [](const report::Case& c) {
    return c.state == report::Case::State::kFailed;
  });
  if (failed == 0) return OkStatus();
  return {ErrorKind::kGate, StrCat("quality gate: ", cases[0].message,
                                   failed > 1 ? StrCat("; and ", failed - 1, " more") : "")};
}

Status RunCompare(const Options& options, std::vector<report::Case>* cases, Console& console) {
  if (options.second.empty() && options.encodings.empty())
    return UsageError("nothing to compare with: give QUANTIZED or --encodings");
  ASSIGN_OR_RETURN(LoadedModel loaded, LoadModel(options.model));
  RETURN_IF_ERROR(CheckRunnable(loaded.model, options.model));
  // Values are compared in float32.
  const target::FloatTypes types = target::WidenTypes(&loaded.model);
  std::optional<graph::Model> other;
  ASSIGN_OR_RETURN(ComparedModels sides, OpenSides(options, &loaded, types, &other));
  recipe::Params params(data::DataSpecs());
  RETURN_IF_ERROR(options.data.Apply(&params));
  data::DatasetFacts facts;
  std::vector<const graph::Model*> run = {&loaded.model};
  if (other) run.push_back(&*other);
  ASSIGN_OR_RETURN(const auto data, OpenData(params, run, "--data PATH", &facts));
  ASSIGN_OR_RETURN(const int64_t samples, CompareAll(*data, &sides));
  if (console.json)
    console.out
        << ToJson(options, sides, samples).dump(2, ' ', false, Json::error_handler_t::replace)
        << "\n";
  else
    Print(options, sides, samples, facts, console.out);
  AddCases(options, sides, cases);
  return TensorStatus(*cases);
}

Status RunBaseline(const Options& options, std::vector<report::Case>* cases, Console& console) {
  if (!options.second.empty() || !options.encodings.empty() || options.min_sqnr)
    return UsageError("--baseline compares reports: give the new report, and no model");
  RegressionOptions regression = options.regression;
  regression.current = options.model;
  return CompareReports(regression, cases, console);
}

Status RunWithCases(const Options& options, Console& console) {
  const bool reports = !options.regression.baseline.empty();
  if (options.cases.any() && !reports && !options.min_sqnr)
    return UsageError("--junit and --github need a limit: give --min-sqnr or --baseline");
  RETURN_IF_ERROR(CheckCaseFlags(
      options.cases,
      {options.model, options.second, options.encodings, options.regression.baseline}, console));
  std::vector<report::Case> cases;
  Status status =
      reports ? RunBaseline(options, &cases, console) : RunCompare(options, &cases, console);
  return WriteCases(options.cases, "roundel compare",
                    options.second.empty() ? options.model : options.second, std::move(cases),
                    std::move(status), console);
}

}  // namespace

CommandRun SetupCompare(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("FLOAT", options->model, "Float ONNX model; with --baseline the new report")
      ->required();
  CLI::Option* second = app.add_option("QUANTIZED", options->second, "QDQ model made from FLOAT");
  app.add_option("--encodings", options->encodings,
                 "Compare FLOAT with the simulation of FLOAT under this encodings file")
      ->excludes(second)
      ->option_text("FILE");
  app.add_option("--limit", options->limit, "Number of tensors to print; 0 = all [20]")
      ->check(CLI::Range(int64_t{0}, int64_t{1000000}))
      ->option_text("N");
  app.add_option_function<double>(
         "--min-sqnr", [options](const double& value) { options->min_sqnr = value; },
         "Exit with code 5 if the SQNR of a tensor is below this (dB)")
      ->option_text("X")
      ->group("CI");
  app.add_option(
         "--baseline", options->regression.baseline,
         "Compare reports of two runs instead of models: this one, and the new one in place "
         "of FLOAT. Reports of quantize, or outputs of eval --json")
      ->option_text("REPORT.json")
      ->group("CI");
  app.add_option("--max-regress", options->regression.max_regress,
                 "Exit with code 5 if a metric is worse than the baseline's by more than this: in "
                 "points of top-1 and agreement, dB of SQNR, percent of others [0]")
      ->check(CLI::Range(0.0, 1e6))
      ->option_text("X")
      ->group("CI");
  app.add_option("--max-slower", options->regression.max_slower,
                 "Exit with code 5 if the run took longer than the baseline's by more than this "
                 "percentage [not compared]")
      ->check(CLI::Range(0.0, 1e6))
      ->option_text("X")
      ->group("CI");
  AddCaseFlags(app, &options->cases);
  options->data.AddTo(app, "--data");
  app.footer(
      "Example: roundel compare model.onnx model_int8.onnx --data images/ --preset imagenet \\\n"
      "             --count 16");
  return [options](Console& console) { return RunWithCases(*options, console); };
}

}  // namespace roundel::cmd
