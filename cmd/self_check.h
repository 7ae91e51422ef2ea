#pragma once
// The last step of every job: compares the float and the quantized model on a few calibration
// samples. A bad result is reported with its probable causes and a recipe line that repairs it.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/recipe/params.h"
#include "lib/report/report.h"
#include "passes/pass.h"

namespace roundel::cmd {

// The section `check` of a recipe.
recipe::ParamSpecs CheckParams();

struct CheckSubject {
  const graph::Model& original;   // as it was before the passes
  const Session& session;         // as the passes left it
  const graph::Model& quantized;  // as it will be written
  std::string format;             // of `quantized`: ExportOptions::format
};

// Adds facts ("check_samples", "check_sqnr_db NAME", "check_agreement_percent NAME") and warnings
// to the report. If the check is not possible, adds a warning. Errors: kInterrupted only.
Status SelfCheck(const recipe::Params& settings, const CheckSubject& subject,
                 report::Report* report);

}  // namespace roundel::cmd
