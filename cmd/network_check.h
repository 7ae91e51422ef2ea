#pragma once
// The error along a model: of layers and quantized values, as it accumulates from input to output.

#include "cmd/self_check.h"
#include "lib/base/status.h"
#include "lib/graph/graph.h"
#include "lib/report/report.h"

namespace roundel::cmd {

// Compares the quantized model with `equivalent`, the float model whose values it approximates: that
// which the passes before calibrate left, because those may have scaled values. Runs both on
// `samples` samples and fills report->network. Holds at most 64 MB, by comparing a random part of
// larger values. Adds nothing if the models cannot be compared. Errors: kInterrupted only.
Status MeasureNetwork(const CheckSubject& subject, const graph::Model& equivalent, int64_t samples,
                      report::Report* report);

}  // namespace roundel::cmd
