#include "cmd/batch_cases.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

#include "lib/base/text.h"

namespace roundel::cmd {
namespace {

using Json = nlohmann::json;
using State = report::Case::State;

std::string Text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

double Number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

report::Case JobCase(const BatchRow& row) {
  report::Case job = {.suite = row.id, .name = "quantize"};
  if (row.result == nullptr || row.result->kind == "interrupted") {
    job.state = State::kSkipped;
    job.message = "not finished";
    return job;
  }
  job.seconds = row.result->seconds;
  if (row.result->good() || row.result->kind == "gate") return job;
  job.state = State::kError;
  job.message = StrCat(row.result->kind, ": ", row.result->message);
  return job;
}

report::Case GateCase(const BatchRow& row, const Json& gate) {
  const std::string verdict = Text(gate, "verdict");
  const double value = Number(gate, "value"), limit = Number(gate, "limit");
  std::string message = Text(gate, "message");
  if (message.empty()) message = StrCat(Text(gate, "metric"), " ", value, ", limit ", limit);
  return {.suite = row.id,
          .name = Text(gate, "name"),
          .state = verdict == "passed"   ? State::kPassed
                   : verdict == "failed" ? State::kFailed
                                         : State::kSkipped,
          .message = message,
          .severity = std::abs(value - limit) / std::max(std::abs(limit), 1e-9)};
}

}  // namespace

std::vector<report::Case> CasesOfJobs(const std::vector<BatchRow>& rows) {
  std::vector<report::Case> cases;
  for (const BatchRow& row : rows) {
    cases.push_back(JobCase(row));
    if (row.result == nullptr) continue;
    const Json gates = Json::parse(row.result->gates, nullptr, false);
    if (!gates.is_array()) continue;
    for (const Json& gate : gates)
      if (gate.is_object()) cases.push_back(GateCase(row, gate));
  }
  return cases;
}

}  // namespace roundel::cmd
