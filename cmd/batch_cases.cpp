#include "cmd/batch_cases.h"

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "lib/report/gate_json.h"

namespace roundel::cmd {
namespace {

using State = report::Case::State;

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

}  // namespace

std::vector<report::Case> CasesOfJobs(const std::vector<BatchRow>& rows) {
  std::vector<report::Case> cases;
  for (const BatchRow& row : rows) {
    cases.push_back(JobCase(row));
    if (row.result == nullptr) continue;
    const auto json = nlohmann::ordered_json::parse(row.result->gates, nullptr, false);
    for (report::Case& gate : report::CasesOf(report::GatesFromJson(json), row.id, ""))
      cases.push_back(std::move(gate));
  }
  return cases;
}

}  // namespace roundel::cmd
