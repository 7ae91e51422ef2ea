#include "cmd/metric_gates.h"

#include <CLI/CLI.hpp>

#include "cmd/metric_command.h"
#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

constexpr char kNote[] = "no interval: the command prints one number for all samples";

void AddLimit(CLI::App& app, const char* name, const char* help, std::optional<double>* limit) {
  app.add_option_function<double>(
         name, [limit](const double& value) { *limit = value; }, help)
      ->option_text("X")
      ->group("Gates");
}

}  // namespace

void AddMetricFlags(CLI::App& app, MetricFlags* flags) {
  app.add_option("--metric-command", flags->command,
                 "Shell command that measures a model and prints a number last, such as "
                 "'python3 wer.py {model}'; {model} becomes the path. It runs for each model")
      ->option_text("COMMAND");
  app.add_option("--metric-timeout", flags->timeout,
                 "Seconds after which the command is killed; 0 = no limit [0]")
      ->check(CLI::Range(0.0, 1e9))
      ->option_text("SECONDS");
  AddLimit(app, "--metric-min",
           "Exit with code 5 if the command's number of the quantized model is below this",
           &flags->min);
  AddLimit(app, "--metric-max", "Exit with code 5 if it is above this", &flags->max);
  AddLimit(app, "--metric-max-drop",
           "Exit with code 5 if it is lower than the float model's by more than this",
           &flags->max_drop);
  AddLimit(app, "--metric-max-rise",
           "Exit with code 5 if it is higher than the float model's by more than this",
           &flags->max_rise);
}

Status CheckMetricFlags(const MetricFlags& flags, bool two_models) {
  if (flags.gates() && flags.command.empty())
    return UsageError("a gate on the command's number needs --metric-command");
  if (flags.compares() && !two_models)
    return UsageError("--metric-max-drop and --metric-max-rise compare two models: give MODEL2");
  return OkStatus();
}

Result<MetricValues> MeasureMetric(const MetricFlags& flags, const std::string& first,
                                   const std::string& second) {
  MetricValues values;
  if (flags.command.empty()) return values;
  ASSIGN_OR_RETURN(values.first, RunMetricCommand(flags.command, first, flags.timeout));
  if (second.empty()) return values;
  ASSIGN_OR_RETURN(values.second, RunMetricCommand(flags.command, second, flags.timeout));
  return values;
}

std::vector<report::Gate> JudgeMetric(const MetricFlags& flags, const MetricValues& values,
                                      eval::Undecided undecided) {
  std::vector<report::Gate> gates;
  if (!values.first) return gates;
  const auto add = [&](const char* name, const std::optional<double>& limit, double value,
                       bool at_least, const char* what) {
    if (!limit) return;
    report::Gate gate{.name = name,
                      .metric = "command",
                      .value = value,
                      .limit = *limit,
                      .at_least = at_least,
                      .note = kNote};
    eval::Judge(undecided, StrFormat(what, value), StrFormat("%.6g", *limit), &gate);
    gates.push_back(std::move(gate));
  };
  const double last = values.second.value_or(*values.first);
  add("metric_min", flags.min, last, true, "the metric command gives %.6g");
  add("metric_max", flags.max, last, false, "the metric command gives %.6g");
  add("metric_max_drop", flags.max_drop, *values.first - last, false,
      "the metric of the command drops by %.6g");
  add("metric_max_rise", flags.max_rise, last - *values.first, false,
      "the metric of the command rises by %.6g");
  return gates;
}

}  // namespace roundel::cmd
