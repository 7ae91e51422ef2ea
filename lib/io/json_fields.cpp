#include "lib/io/json_fields.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "lib/base/text.h"

namespace roundel::io {
namespace {

// `axis` lists are open around `value`. The first element fixes the shape.
Status FlattenFrom(const Json& value, size_t axis, Shape* shape, std::vector<const Json*>* flat) {
  if (!value.is_array()) {
    if (axis != shape->size()) return UsageError("nested lists of different depth");
    flat->push_back(&value);
    return OkStatus();
  }
  const auto length = static_cast<int64_t>(value.size());
  constexpr size_t kMaxRank = 16;
  if (flat->empty() && axis == shape->size() && axis < kMaxRank && length > 0)
    shape->push_back(length);
  if (axis >= shape->size() || (*shape)[axis] != length)
    return UsageError("nested lists of different length");
  for (const Json& item : value) RETURN_IF_ERROR(FlattenFrom(item, axis + 1, shape, flat));
  return OkStatus();
}

Json NestedFrom(const Shape& shape, const std::vector<Json>& flat, size_t axis, size_t* at) {
  if (axis == shape.size()) return flat[(*at)++];
  Json list = Json::array();
  for (int64_t i = 0; i < shape[axis]; ++i) list.push_back(NestedFrom(shape, flat, axis + 1, at));
  return list;
}

}  // namespace

// Brackets count outside strings only. After a syntax error the count may be wrong, but then the
// parser stops there, too.
bool NestedTooDeep(const std::string& json) {
  int depth = 0;
  bool in_text = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text && c == '\\') ++i;
    if (c == '"') in_text = !in_text;
    if (in_text) continue;
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (depth > kMaxNesting) return true;
  }
  return false;
}

// Never a list or object, which may be nested arbitrarily deep.
std::string Shown(const Json& value) {
  if (value.is_structured()) return value.is_array() ? "a list" : "an object";
  return Printable(value.dump(), 40);
}

Result<const Json*> Find(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) return UsageError(StrCat("key '", key, "' is missing"));
  return &*it;
}

Result<std::string> TextAt(const Json& object, const char* key) {
  ASSIGN_OR_RETURN(const Json* value, Find(object, key));
  if (!value->is_string()) return UsageError(StrCat("'", key, "' is not a string"));
  return value->get<std::string>();
}

Result<bool> BoolAt(const Json& object, const char* key) {
  ASSIGN_OR_RETURN(const Json* value, Find(object, key));
  if (value->is_boolean()) return value->get<bool>();
  if (*value == "True" || *value == "true") return true;
  if (*value == "False" || *value == "false") return false;
  return UsageError(StrCat("'", key, "' is not a boolean: ", Shown(*value)));
}

Result<int64_t> Integer(const Json& value, const char* what) {
  if (value.is_number()) {
    const double number = value.get<double>();
    if (number == std::floor(number) && std::abs(number) <= 0x1p33)
      return static_cast<int64_t>(number);
  }
  return UsageError(StrCat("'", what, "' is not a whole number: ", Shown(value)));
}

Result<int64_t> IntegerAt(const Json& object, const char* key) {
  ASSIGN_OR_RETURN(const Json* value, Find(object, key));
  return Integer(*value, key);
}

Result<std::vector<int64_t>> IntegersAt(const Json& object, const char* key) {
  ASSIGN_OR_RETURN(const Json* list, Find(object, key));
  if (!list->is_array() || list->empty())
    return UsageError(StrCat("'", key, "' is not a list of numbers"));
  std::vector<int64_t> integers;
  for (const Json& item : *list) {
    ASSIGN_OR_RETURN(const int64_t integer, Integer(item, key));
    integers.push_back(integer);
  }
  return integers;
}

Result<double> ScaleOf(const Json& value) {
  const double scale = value.is_number() ? value.get<double>() : 0;
  const auto narrow = static_cast<float>(std::min(scale, 0x1p130));  // the grid computes in float
  if (value.is_number() && narrow > 0 && std::isfinite(narrow)) return scale;
  return UsageError(StrCat("scale ", Shown(value), " is not a positive number"));
}

Status Flatten(const Json& value, Shape* shape, std::vector<const Json*>* flat) {
  return FlattenFrom(value, 0, shape, flat);
}

Result<Numbers> NumbersOf(const Json& value, const char* what) {
  Numbers numbers;
  std::vector<const Json*> flat;
  RETURN_IF_ERROR(Flatten(value, &numbers.shape, &flat).At(what));
  for (const Json* item : flat) {
    if (!item->is_number()) return UsageError(StrCat("'", what, "' holds ", Shown(*item)));
    numbers.values.push_back(item->get<double>());
  }
  return numbers;
}

Result<Numbers> NumbersAt(const Json& object, const char* key) {
  ASSIGN_OR_RETURN(const Json* value, Find(object, key));
  return NumbersOf(*value, key);
}

Json Nested(const Shape& shape, const std::vector<Json>& flat) {
  size_t at = 0;
  return NestedFrom(shape, flat, 0, &at);
}

}  // namespace roundel::io
