#pragma once
// What the end of a job's process means.

#include <span>
#include <string>

#include "lib/batch/child.h"
#include "lib/batch/result.h"

namespace roundel::batch {

// Sets exit code, kind, message, seconds and peak memory. `log`: what the process wrote.
void Classify(const ChildEnd& end, const std::string& log, JobResult* result);

// The kind of a job that ended with this error line and exit code.
std::string KindOf(int exit_code, const std::string& message);

// All kinds, and the error of a batch with such a result.
struct Kind {
  const char* name;
  ErrorKind error;
};
std::span<const Kind> Kinds();
ErrorKind ErrorOf(const JobResult& result);

}  // namespace roundel::batch
