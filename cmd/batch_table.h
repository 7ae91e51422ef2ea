#pragma once
// What a batch prints.

#include <string>
#include <vector>

#include "cmd/command.h"
#include "lib/batch/result.h"

namespace roundel::cmd {

struct BatchRow {
  std::string id;
  const batch::JobResult* result = nullptr;  // nullptr: there is none
  bool ran = false;                          // in this run
};

// "resnet: ok, 14.2 MB -> 3.7 MB, 33.1 dB, 12.3 s".
std::string ResultLine(const batch::JobResult& result);

// A table, or a JSON object.
void PrintBatch(const std::vector<BatchRow>& rows, double seconds, Console& console);

// What --list says: one id a line.
void PrintIds(const std::vector<BatchRow>& rows, Console& console);

// What --dry-run says: the jobs that would be run, in the order of running, and
// how many are done.
void PrintLeft(const std::vector<BatchRow>& rows, const std::vector<std::string>& left,
               Console& console);

// Ok if all jobs are; kGate if only gates failed; else the error with the
// lowest exit code, which counts the jobs.
Status BatchStatus(const std::vector<BatchRow>& rows);

}  // namespace roundel::cmd
