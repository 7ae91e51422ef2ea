#pragma once
// The inverse of quant::Grid::Name().

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "lib/quant/grid.h"

namespace roundel::target {

// "uint8", "int4 symmetric", "int8 symmetric narrow"; 2 to 16 bits, or int32; "int4 symmetric lpbq"
// or "... signed" (the scales); or a name of quant::NamedGrids(). nullopt otherwise.
std::optional<quant::Grid> ParseGridName(std::string_view text);

// Whether a profile's list has the grid: "int8" means every grid of the type, "int8 symmetric"
// those with the zero point in the middle. Float grids are listed by name; "float4e2m1" includes
// those with coded scales. An empty list has all grids.
bool GridAllowed(const quant::Grid& grid, const std::set<std::string>& allowed);

// The first opset whose QuantizeLinear and DequantizeLinear support codes of this type (Cast: of
// 16-bit floats).
int64_t QuantizeOpset(DType type);

}  // namespace roundel::target
