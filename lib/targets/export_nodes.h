#pragma once
// Writes the nodes and initializers that stand for the encoding of one value.

#include <string>

#include "lib/targets/exporting.h"

namespace roundel::target {

// QuantizeLinear -> DequantizeLinear of an activation, or two Casts for grids without scales.
// Values without an encoding, constants and unused values get nothing.
void AddPair(Exporting& s, const std::string& value);

// The codes of an encoded constant and their DequantizeLinear, or a Cast for grids without scales.
void AddConstant(Exporting& s, const std::string& value);

}  // namespace roundel::target
