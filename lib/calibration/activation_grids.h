#pragma once
// The activations' half of calibrate: computes ranges and encodings of a placement from statistics
// of the float model, which are observed, stored or analytic.

#include <vector>

#include "lib/quant/observers.h"
#include "lib/recipe/params.h"
#include "lib/session/session.h"

namespace roundel::calibration {

quant::Encoding MakeEncoding(const target::QuantPoint& point, std::vector<quant::QParams> params);
// The constant of a point that is a weight, a bias or a constant operand.
const Tensor& ConstantOf(const Session& session, const std::string& value);
quant::MethodOptions MethodOptionsOf(const recipe::Params& params);

// Adds encodings of all activations to `table`, and keeps the frozen ones in it. With `data_free`,
// removes points with unknown ranges from the placement. Returns the number of samples.
Result<int64_t> MakeActivationGrids(Session& session, const recipe::Params& params,
                                    target::Placement* placement, quant::EncodingTable* table);

}  // namespace roundel::calibration
