#pragma once
// compare --baseline: two reports of runs, or two results of eval, without running models.

#include <string>
#include <vector>

#include "cmd/command.h"
#include "lib/base/status.h"
#include "lib/report/cases.h"

namespace roundel::cmd {

struct RegressionOptions {
  std::string baseline, current;  // files
  double max_regress = 0;         // points of top-1 and agreement, dB, percent of the others
  double max_slower = -1;         // percent of the seconds; below 0 = not compared
};

// Prints the metrics that the baseline has, those that got worse first. `cases` gets one case per
// metric. Errors: kGate if a metric got worse by more than allowed or is missing, kUsage if a file
// is no such document.
Status CompareReports(const RegressionOptions& options, std::vector<report::Case>* cases,
                      Console& console);

}  // namespace roundel::cmd
