#pragma once
// The inverse of quant::Grid::Name().

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "lib/quant/grid.h"

namespace roundel::target {

// "uint8", "int4 symmetric", "int8 symmetric narrow"; 2 to 16 bits, or int32. nullopt otherwise.
std::optional<quant::Grid> ParseGridName(std::string_view text);

// Whether a profile's list has the grid: "int8" stands for every grid of the type, "int8 symmetric"
// for those with the zero point in the middle. An empty list has all.
bool GridAllowed(const quant::Grid& grid, const std::set<std::string>& allowed);

}  // namespace roundel::target
