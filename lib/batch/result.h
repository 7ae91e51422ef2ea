#pragma once
// The outcome of one job, and its line in status.jsonl (schemas/status-1.json).

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"

namespace roundel::batch {

struct JobResult {
  std::string id, hash;
  int exit_code = 0;    // of the process; 128 + signal if one ended it
  std::string kind;     // ok, gate, usage, model, data, io, memory, timeout, crash, interrupted
  std::string message;  // one line; "" if there is nothing to say
  double seconds = 0;
  int64_t peak_memory = 0;
  int64_t model_bytes = 0, output_bytes = 0;
  std::vector<std::pair<std::string, double>> metrics;
  std::string gates = "[]";    // a JSON list, as the report has it
  std::string output, report;  // paths from the batch's folder; "" if not written
  double timeout = 0;          // the limits of the job, if it had any
  int64_t memory = 0;

  bool good() const { return kind == "ok"; }
};

std::string StatusLine(const JobResult& result);  // JSON, one line without its end
// nullopt for a line that was cut short or is something else.
std::optional<JobResult> ParseStatusLine(const std::string& line);

// What the report of a run says of it: metrics, sizes and gates. Nothing if it cannot be read.
void ReadReport(const std::string& json, JobResult* result);

}  // namespace roundel::batch
