#pragma once
// The jobs of a batch as test cases.

#include <vector>

#include "cmd/batch_table.h"
#include "lib/report/cases.h"

namespace roundel::cmd {

// One suite per job: a case for the job itself, and one per gate. A job without a result is skipped.
std::vector<report::Case> CasesOfJobs(const std::vector<BatchRow>& rows);

}  // namespace roundel::cmd
