#pragma once
// The quantized model of a job, and whether it keeps the target's rules.

#include "cmd/job_state.h"

namespace roundel::cmd {

// Requires that the passes have run. Errors: the runtime would refuse the model.
Status ExportJob(JobState& s);

}  // namespace roundel::cmd
