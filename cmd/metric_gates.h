#pragma once
// --metric-command of eval and quantize: its flags, its measurement, and the gates on it.

#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/eval/gates.h"
#include "lib/report/gate.h"

namespace CLI {
class App;
}

namespace roundel::cmd {

struct MetricFlags {
  std::string command;  // "" = no such metric
  double timeout = 0;   // seconds; 0 = none
  std::optional<double> min, max, max_drop, max_rise;

  bool compares() const { return max_drop || max_rise; }
  bool gates() const { return compares() || min || max; }
};
void AddMetricFlags(CLI::App& app, MetricFlags* flags);
// Errors: kUsage if gates have no command, or nothing to compare with.
Status CheckMetricFlags(const MetricFlags& flags, bool two_models);

// What the command says of each model.
struct MetricValues {
  std::optional<double> first, second;  // of a single model: `first`
};
Result<MetricValues> MeasureMetric(const MetricFlags& flags, const std::string& first,
                                   const std::string& second);
std::vector<report::Gate> JudgeMetric(const MetricFlags& flags, const MetricValues& values,
                                      eval::Undecided undecided);

}  // namespace roundel::cmd
