#include "lib/target/grid_name.h"

#include <charconv>

#include "lib/base/text.h"

namespace roundel::target {

std::optional<quant::Grid> ParseGridName(std::string_view text) {
  const std::vector<std::string> words = Split(text, ' ');
  if (words.empty()) return std::nullopt;
  quant::Grid grid;
  std::string_view type = words[0];
  grid.is_signed = !type.starts_with('u');
  if (!grid.is_signed) type.remove_prefix(1);
  if (!type.starts_with("int")) return std::nullopt;
  type.remove_prefix(3);
  const auto [end, error] = std::from_chars(type.data(), type.data() + type.size(), grid.bits);
  if (error != std::errc() || end != type.data() + type.size()) return std::nullopt;
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "symmetric")
      grid.symmetric = true;
    else if (words[i] == "narrow")
      grid.narrow_range = true;
    else
      return std::nullopt;
  }
  const bool known_width =
      (grid.bits >= 2 && grid.bits <= 16) || (grid.bits == 32 && grid.is_signed);
  // One spelling per grid, so that a name read is a name written.
  if (!known_width || grid.Name() != text) return std::nullopt;
  return grid;
}

bool GridAllowed(const quant::Grid& grid, const std::set<std::string>& allowed) {
  const std::string type = StrCat(grid.is_signed ? "int" : "uint", grid.bits);
  return allowed.empty() || allowed.contains(type) ||
         (grid.symmetric && allowed.contains(type + " symmetric"));
}

}  // namespace roundel::target
