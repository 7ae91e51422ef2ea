#pragma once
// The inverse of quant::Grid::Name().

#include <optional>
#include <string_view>

#include "lib/quant/grid.h"

namespace roundel::target {

// "uint8", "int4 symmetric", "int8 symmetric narrow"; 2 to 16 bits, or int32. nullopt otherwise.
std::optional<quant::Grid> ParseGridName(std::string_view text);

}  // namespace roundel::target
