#pragma once
// Checks of a job's result.

#include <string>

#include "cmd/job_state.h"

namespace roundel::cmd {

// The check section: the exported model against the simulation.
Status CheckJob(JobState& s);

// The eval section: the exported model against the float one at `float_path`. Adds the gates of the
// recipe to the report.
Status MeasureJob(JobState& s, const std::string& float_path);

}  // namespace roundel::cmd
