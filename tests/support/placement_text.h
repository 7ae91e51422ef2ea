#pragma once
// A placement as text, one line a point.

#include <string>

#include "lib/base/text.h"
#include "lib/targets/profile.h"

namespace roundel::target {
using quant::Granularity;
using quant::Role;

inline std::string GranularityText(const QuantPoint& point) {
  switch (point.granularity) {
    case Granularity::kTensor: return "";
    case Granularity::kChannel: return StrCat(", per channel of axis ", point.axis);
    case Granularity::kBlock:
      return StrCat(", blocks of ", point.block_size, " along axis ", point.axis);
  }
  return "";
}

inline std::string PointText(const QuantPoint& point) {
  const char* role = point.role == Role::kActivation ? "activation"
                     : point.role == Role::kWeight   ? "weight"
                                                     : "bias";
  std::string text =
      StrCat(role, " ", point.value, ": ", point.grid.Name(), GranularityText(point));
  if (point.group >= 0) text += StrCat(", group ", point.group);
  if (point.derived) text += ", derived";
  if (point.whole_range) text += ", whole range";
  if (point.fixed_range)
    text += StrCat(", fixed to [", point.range_min, ", ", point.range_max, "]");
  if (point.role == Role::kBias)
    text += StrCat(", scale of ", point.bias_input, " * ", point.bias_weight);
  if (point.bias_factor != 1) text += StrCat(" * ", point.bias_factor);
  return text;
}

inline std::string PlacementText(const Placement& placement) {
  std::string text;
  for (const QuantPoint& point : placement.points) text += PointText(point) + "\n";
  for (const std::string& value : placement.absorbable) text += StrCat("absorbable ", value, "\n");
  for (const FloatNode& node : placement.float_nodes)
    text += StrCat("float ", node.node, ": ", node.reason, "\n");
  for (const std::string& pattern : placement.unmatched_excludes)
    text += StrCat("exclude '", pattern, "' matches no node\n");
  for (const std::string& rule : placement.unmatched_rules)
    text += StrCat(rule, " decides nothing\n");
  for (const std::string& value : placement.dynamic_layers) text += StrCat("dynamic ", value, "\n");
  return text;
}

}  // namespace roundel::target
