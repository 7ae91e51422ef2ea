#include "lib/targets/grid_name.h"

#include <charconv>

#include "lib/base/text.h"

namespace roundel::target {

std::optional<quant::Grid> ParseGridName(std::string_view text) {
  for (const quant::NamedGrid& named : quant::NamedGrids())
    if (text == named.name) return named.grid;
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
    else if (words[i] == "lpbq")
      grid.scales = quant::ScaleKind::kInteger;
    else if (words[i] == "signed" && grid.symmetric && grid.is_signed && !grid.narrow_range)
      grid.scales = quant::ScaleKind::kSigned;
    else if (words[i] == "unsigned" && grid.symmetric && !grid.is_signed)
      grid.from_zero = true;
    else
      return std::nullopt;
  }
  const bool known_width =
      (grid.bits >= 2 && grid.bits <= 16) || (grid.bits == 32 && grid.is_signed);
  // One spelling per grid, so that names that are read are the names that are written.
  if (!known_width || grid.Name() != text) return std::nullopt;
  return grid;
}

bool GridAllowed(const quant::Grid& grid, const std::set<std::string>& allowed) {
  if (!grid.is_uniform() || grid.scales != quant::ScaleKind::kFloat) {
    // A target that supports float scales also supports scales that are products.
    quant::Grid plain = grid;
    plain.scales = quant::ScaleKind::kFloat;
    if (plain.kind == quant::GridKind::kBinary) plain.kind = quant::GridKind::kTernary;
    const bool as_plain = plain != grid && GridAllowed(plain, allowed);
    return allowed.empty() || allowed.contains(grid.Name()) || as_plain;
  }
  const std::string type = StrCat(grid.is_signed ? "int" : "uint", grid.bits);
  return allowed.empty() || allowed.contains(type) ||
         (grid.symmetric && allowed.contains(type + " symmetric"));
}

int64_t QuantizeOpset(DType type) {
  switch (type) {
    case DType::kInt2:
    case DType::kUint2: return 25;
    case DType::kFloat8E8M0: return 24;
    case DType::kFloat4E2M1: return 23;
    case DType::kInt4:
    case DType::kUint4:
    case DType::kInt16:
    case DType::kUint16: return 21;
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E5M2: return 19;
    case DType::kBfloat16: return 13;  // Cast
    default: return 10;
  }
}

}  // namespace roundel::target
