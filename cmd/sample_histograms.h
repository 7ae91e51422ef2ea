#pragma once
// Histograms of layer inputs for calibration methods that need none, such as min_max: of the first
// samples, for a page.

#include "cmd/self_check.h"
#include "lib/report/report.h"

namespace roundel::cmd {

// Adds histograms to ranges in the report that have none, for inputs of layers. `equivalent`: the
// float model as calibration saw it. Nothing if there is no data, or if the model does not run.
// Errors: kInterrupted.
Status AddSampleHistograms(const CheckSubject& subject, const graph::Model& equivalent,
                           int64_t samples, report::Report* report);

}  // namespace roundel::cmd
