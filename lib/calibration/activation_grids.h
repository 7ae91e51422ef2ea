#pragma once
// The activations' half of calibrate: from what flows through the float model (or from stored or
// analytic statistics of that) to the ranges and encodings of a placement.

#include <vector>

#include "lib/quant/observers.h"
#include "lib/recipe/params.h"
#include "lib/session/session.h"

namespace roundel::calibration {

quant::Encoding MakeEncoding(const target::QuantPoint& point, std::vector<quant::QParams> params);
// Behind a point that is a weight, a bias or a constant operand.
const Tensor& ConstantOf(const Session& session, const std::string& value);
quant::MethodOptions MethodOptionsOf(const recipe::Params& params);

// Adds encodings of all activations to `table`, beside the frozen ones that stand there; with
// `data_free`, points of which nothing is known leave the placement. How many samples were seen.
Result<int64_t> MakeActivationGrids(Session& session, const recipe::Params& params,
                                    target::Placement* placement, quant::EncodingTable* table);

}  // namespace roundel::calibration
