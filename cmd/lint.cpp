#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <memory>

#include "cmd/command.h"
#include "cmd/loading.h"
#include "lib/base/text.h"
#include "lib/targets/lint.h"
#include "lib/targets/quantized.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string model, target = "ort-cpu";
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
    json["violations"].push_back(
        {{"where", v.where}, {"what", v.what}, {"why", v.why}, {"advice", v.advice}});
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

Status RunLint(const Options& options, Console& console) {
  ASSIGN_OR_RETURN(const target::Profile profile, target::LoadProfile(options.target));
  ASSIGN_OR_RETURN(const LoadedModel loaded, LoadModel(options.model));
  ASSIGN_OR_RETURN(const target::LintResult result, target::Lint(loaded.model, profile));
  const bool quantized = !target::QuantizedOperator(loaded.model).empty();
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
  app.footer(
      "Exit code 5 if there are violations.\n"
      "Example: roundel lint model_int8.onnx --target tensorrt");
  return [options](Console& console) { return RunLint(*options, console); };
}

}  // namespace roundel::cmd
