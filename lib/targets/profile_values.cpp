#include "lib/targets/profile_values.h"

#include <charconv>
#include <optional>

#include "lib/base/text.h"
#include "lib/graph/widen.h"
#include "lib/targets/grid_name.h"

namespace roundel::target {
namespace {

using recipe::ForMessage;
using recipe::YamlNode;

std::optional<double> ToReal(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Status ProfileSetting::Error(const YamlNode& node, const std::string& message) const {
  return UsageError(StrCat(source, ":", node.line, ": ", message));
}

Status ReadText(const ProfileSetting& at, const YamlNode& node, std::string* out) {
  if (!node.IsScalar()) return at.Error(node, StrCat("expected text, not ", node.KindName()));
  *out = node.scalar;
  return OkStatus();
}

Status ReadFlag(const ProfileSetting& at, const YamlNode& node, bool* out) {
  if (!node.IsScalar() || (node.scalar != "true" && node.scalar != "false"))
    return at.Error(node, "expected true or false");
  *out = node.scalar == "true";
  return OkStatus();
}

Status ReadGrid(const ProfileSetting& at, const YamlNode& node, quant::Grid* out) {
  const auto grid = node.IsScalar() ? ParseGridName(node.scalar) : std::nullopt;
  if (!grid)
    return at.Error(node,
                    "expected a grid such as 'uint8', 'int8 symmetric narrow' or 'float8e4m3fn'");
  *out = *grid;
  return OkStatus();
}

Status ReadNames(const ProfileSetting& at, const YamlNode& node, std::vector<std::string>* out) {
  if (!node.IsList()) return at.Error(node, StrCat("expected a list, not ", node.KindName()));
  for (const YamlNode& item : node.items) {
    if (!item.IsScalar()) return at.Error(item, StrCat("expected a name, not ", item.KindName()));
    out->push_back(item.scalar);
  }
  return OkStatus();
}

Status ReadGridTypes(const ProfileSetting& at, const YamlNode& node, std::set<std::string>* out) {
  std::vector<std::string> names;
  RETURN_IF_ERROR(ReadNames(at, node, &names));
  out->clear();
  for (const std::string& name : names) {
    const auto grid = ParseGridName(name);
    if (!grid || (grid->narrow_range && grid->kind == quant::GridKind::kInteger))
      return at.Error(node, StrCat("'", ForMessage(name), "' is not a type such as 'uint8'"));
    out->insert(name);
  }
  return OkStatus();
}

Status ReadOpGrids(const ProfileSetting& at, const YamlNode& node,
                   std::map<std::string, std::set<std::string>>* out) {
  if (!node.IsMap()) return at.Error(node, StrCat("expected a map, not ", node.KindName()));
  for (const auto& [op, value] : node.entries)
    RETURN_IF_ERROR(ReadGridTypes(at, value, &(*out)[op]));
  return OkStatus();
}

Status ReadSet(const ProfileSetting& at, const YamlNode& node, std::set<std::string>* out) {
  std::vector<std::string> names;
  RETURN_IF_ERROR(ReadNames(at, node, &names));
  *out = {names.begin(), names.end()};
  return OkStatus();
}

Status ReadFloatTypes(const ProfileSetting& at, const YamlNode& node, std::set<DType>* out) {
  std::vector<std::string> names;
  RETURN_IF_ERROR(ReadNames(at, node, &names));
  out->clear();
  for (const std::string& name : names) {
    const DType type = ParseDType(name);
    if (!graph::IsHalf(type) && type != DType::kDouble)
      return at.Error(node,
                      StrCat("'", ForMessage(name), "' is not one of float16, bfloat16, float64"));
    out->insert(type);
  }
  return OkStatus();
}

Status ReadMode(const ProfileSetting& at, const YamlNode& node, ActivationMode* out) {
  for (int i = 0; i < 3; ++i)
    if (node.IsScalar() && node.scalar == kActivationModes[i]) {
      *out = static_cast<ActivationMode>(i);
      return OkStatus();
    }
  return at.Error(node, "expected static, dynamic or float");
}

Status ReadNumber(const ProfileSetting& at, const YamlNode& node, int64_t* out) {
  const bool opset = at.key.ends_with("opset");
  const std::string& text = node.scalar;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  if (!node.IsScalar() || error != std::errc() || end != text.data() + text.size() ||
      *out < (opset ? 1 : 0) || *out > (opset ? 100 : 1 << 20))
    return at.Error(node, opset ? at.key + " is not an opset version" : at.key + " is not a size");
  return OkStatus();
}

Status ReadSizes(const ProfileSetting& at, const YamlNode& node, std::set<int64_t>* out) {
  if (!node.IsList()) return at.Error(node, StrCat("expected a list, not ", node.KindName()));
  for (const YamlNode& item : node.items) {
    int64_t size = 0;
    RETURN_IF_ERROR(ReadNumber(at, item, &size));
    out->insert(size);
  }
  return OkStatus();
}

Status ReadRanks(const ProfileSetting& at, const YamlNode& node,
                 std::map<std::string, int64_t>* out) {
  if (!node.IsMap()) return at.Error(node, StrCat("expected a map, not ", node.KindName()));
  out->clear();
  for (const auto& [op, value] : node.entries) RETURN_IF_ERROR(ReadNumber(at, value, &(*out)[op]));
  return OkStatus();
}

Status ReadWidth(const ProfileSetting& at, const YamlNode& node, double* out) {
  const auto width = node.IsScalar() ? ToReal(node.scalar) : std::nullopt;
  if (!width || !(*width >= 0 && *width < 1e30))
    return at.Error(node, "expected a width of a range");
  *out = *width;
  return OkStatus();
}

Status ReadRanges(const ProfileSetting& at, const YamlNode& node,
                  std::map<std::string, Profile::FixedRange>* out) {
  if (!node.IsMap()) return at.Error(node, StrCat("expected a map, not ", node.KindName()));
  for (const auto& [op, value] : node.entries) {
    std::vector<std::string> bounds;
    RETURN_IF_ERROR(ReadNames(at, value, &bounds));
    std::vector<double> numbers;
    for (const std::string& bound : bounds)
      if (const auto number = ToReal(bound)) numbers.push_back(*number);
    // The comparisons are false for NaN; an infinite bound has no scale.
    if (bounds.size() != 2 || numbers.size() != 2 ||
        !(numbers[0] < numbers[1] && numbers[0] > -1e30 && numbers[1] < 1e30))
      return at.Error(value, StrCat("the range of '", ForMessage(op), "' is not [low, high]"));
    (*out)[op] = {numbers[0], numbers[1]};
  }
  return OkStatus();
}

}  // namespace roundel::target
