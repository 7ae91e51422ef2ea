#pragma once
// The activations' half of calibrate: from statistics of the float model's values (of data, stored
// or analytic) to the ranges and encodings of a placement.

#include <vector>

#include "lib/quant/observers.h"
#include "lib/recipe/params.h"
#include "lib/session/session.h"

namespace roundel::calibration {

quant::MethodOptions MethodOptionsOf(const recipe::Params& params);

// Adds encodings of all activations to `table`, which holds frozen ones. Points without a known
// range leave the placement. Returns the number of samples.
Result<int64_t> MakeActivationGrids(Session& session, const recipe::Params& params,
                                    target::Placement* placement, quant::EncodingTable* table);

}  // namespace roundel::calibration
