#pragma once
// A metric that a program of the user measures.

#include <string>

#include "lib/base/status.h"

namespace roundel::cmd {

// Runs `command` in /bin/sh, with {model} replaced by the quoted path, and returns the number on
// the last line of its standard output that is not empty. Its standard error goes to ours.
// `timeout`: in seconds, 0 = none; then the command and what it started are killed. Errors:
// kUsage if `command` has no {model}; kData if it fails, prints no number or takes too long;
// kInterrupted.
Result<double> RunMetricCommand(const std::string& command, const std::string& model,
                                double timeout);

}  // namespace roundel::cmd
