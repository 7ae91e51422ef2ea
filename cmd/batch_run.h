#pragma once
// The run of a batch: which jobs are left, their processes, and the table at
// the end.

#include <string>
#include <vector>

#include "cmd/case_output.h"
#include "cmd/command.h"
#include "lib/base/status.h"

namespace roundel::cmd {

struct BatchOptions {
  std::string manifest, out;
  int jobs = 1;
  std::vector<std::string> only;   // ids or tags; empty: all
  std::vector<std::string> retry;  // kinds, or "failed"
  std::string shard;               // "i/n"; "": the scheduler's, or the whole
  double claim_expiry = 90;        // seconds
  bool dry_run = false, list = false, stop_on_failure = false;
  CaseFlags cases;
};

Status RunBatch(const BatchOptions& options, Console& console);

}  // namespace roundel::cmd
