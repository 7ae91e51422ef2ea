#pragma once
// Encodings and constants of the points of a placement.

#include <string>
#include <vector>

#include "lib/session/session.h"

namespace roundel::calibration {

quant::Encoding MakeEncoding(const target::QuantPoint& point, std::vector<quant::QParams> params);

// Requires that the value is a weight, a bias or a constant operand.
const Tensor& ConstantOf(const Session& session, const std::string& value);

}  // namespace roundel::calibration
