#pragma once
// The quantized model of a job, and the check of the target's rules.

#include "cmd/job_state.h"

namespace roundel::cmd {

// Requires that the passes have run. Errors: the runtime would reject the model.
Status ExportJob(JobState& s);

}  // namespace roundel::cmd
