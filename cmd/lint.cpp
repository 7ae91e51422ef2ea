#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

#include "cmd/case_output.h"
#include "cmd/command.h"
#include "cmd/loading.h"
#include "cmd/outputs.h"
#include "cmd/sarif.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/targets/lint.h"
#include "lib/targets/quantized.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, target = "ort-cpu", sarif;
  CaseFlags cases;
};

Json ToJson(const Options& options, const target::Profile& profile,
            const target::LintResult& result, bool quantized) {
  Json json = {{"schema", "roundel.lint/1"},
               {"model", options.model},
               {"target", profile.name},
               {"quantized", quantized},
               {"activations", result.activations},
               {"weights", result.weights},
               {"biases", result.biases},
               {"violations", Json::array()}};
  for (const target::Violation& v : result.violations)
    json["violations"].push_back({{"rule", v.rule},
                                  {"where", v.where},
                                  {"what", v.what},
                                  {"why", v.why},
                                  {"advice", v.advice}});
  return json;
}

void Print(const target::Profile& profile, const target::LintResult& result, bool quantized,
           std::ostream& out) {
  out << result.activations << " activations, " << result.weights << " weights, " << result.biases
      << " biases with grids; target " << profile.name << "\n";
  if (!quantized) out << "nothing is quantized: this is a float model\n";
  for (const target::Violation& v : result.violations)
    out << "\n"
        << v.where << "\n  what  " << v.what << "\n  why   " << v.why << "\n  do    " << v.advice
        << "\n";
  if (quantized && result.violations.empty()) out << "no violations\n";
}

// A case for each violation, in their order; one passed case if there is none.
std::vector<report::Case> Cases(const Options& options, const target::LintResult& result) {
  std::vector<report::Case> cases;
  for (const target::Violation& v : result.violations) {
    // The first ones make a runtime reject the model.
    const bool refused = cases.size() < result.refused;
    cases.push_back({.suite = options.model,
                     .name = StrCat(v.rule, " ", v.where),
                     .state = report::Case::State::kFailed,
                     .message = StrCat(v.where, ": ", v.what, "; ", v.why, "; ", v.advice),
                     .file = options.model,
                     .severity = refused ? 1.0 : 0.0});
  }
  if (cases.empty())
    cases.push_back({.suite = options.model, .name = StrCat("rules of ", options.target)});
  return cases;
}

Status RunLint(const Options& options, std::vector<report::Case>* cases, Console& console) {
  ASSIGN_OR_RETURN(const target::Profile profile, target::LoadProfile(options.target));
  ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(options.model));
  ASSIGN_OR_RETURN(const target::LintResult result, target::Lint(loaded.model, profile));
  const bool quantized = !target::QuantizedOperator(loaded.model).empty();
  if (!options.sarif.empty())
    RETURN_IF_ERROR(
        WriteFileAtomically(options.sarif, SarifText(result, options.model, profile.name)));
  *cases = Cases(options, result);
  if (console.json)
    console.out << ToJson(options, profile, result, quantized)
                       .dump(2, ' ', false, Json::error_handler_t::replace)
                << "\n";
  else
    Print(profile, result, quantized, console.out);
  if (result.violations.empty()) return OkStatus();
  return {ErrorKind::kGate,
          StrCat(result.violations.size(), " violations of target '", profile.name, "'")};
}

}  // namespace

CommandRun SetupLint(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "Quantized model, made by any tool")->required();
  app.add_option("--target", options->target,
                 "Runtime that will run the model: a target profile ('roundel targets') [ort-cpu]")
      ->option_text("NAME|FILE");
  app.add_option("--sarif", options->sarif,
                 "Write the violations as SARIF 2.1.0, for code scanning services, to this file")
      ->option_text("FILE")
      ->group("CI");
  AddCaseFlags(app, &options->cases);
  app.footer(
      "Exit code 5 if there are violations.\n"
      "Example: roundel lint model_int8.onnx --target tensorrt");
  return [options](Console& console) -> Status {
    RETURN_IF_ERROR(CheckCaseFlags(options->cases, {options->model, options->sarif}, console));
    if (!options->sarif.empty()) RETURN_IF_ERROR(CheckOutputs({options->sarif}, {options->model}));
    std::vector<report::Case> cases;
    Status status = RunLint(*options, &cases, console);
    return WriteCases(options->cases, "roundel lint", options->model, std::move(cases),
                      std::move(status), console);
  };
}

}  // namespace roundel::cmd
