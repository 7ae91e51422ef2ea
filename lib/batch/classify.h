#pragma once
// What the end of a job's process means.

#include <string>

#include "lib/batch/child.h"
#include "lib/batch/result.h"

namespace roundel::batch {

// Sets exit code, kind, message, seconds and peak memory. `log`: what the process wrote.
void Classify(const ChildEnd& end, const std::string& log, JobResult* result);

// The kind of a job that ended with this error line and exit code.
std::string KindOf(int exit_code, const std::string& message);

// The exit code of a batch with such a result: 0 for ok, 5 for a gate, that of the error otherwise.
int ExitCodeOf(const JobResult& result);

}  // namespace roundel::batch
