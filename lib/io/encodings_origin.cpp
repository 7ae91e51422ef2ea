#include "lib/io/encodings_origin.h"

#include <nlohmann/json.hpp>

#include "lib/base/text.h"
#include "lib/io/json_fields.h"

namespace roundel::io {
namespace {

Result<std::vector<std::string>> TextsAt(const Json& object, const char* key) {
  ASSIGN_OR_RETURN(const Json* list, Find(object, key));
  if (!list->is_array()) return UsageError(StrCat("'", key, "' is not a list"));
  std::vector<std::string> texts;
  for (const Json& item : *list) {
    if (!item.is_string()) return UsageError(StrCat("'", key, "' is not a list of names"));
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

Result<EncodingsOrigin> Read(const Json& entry) {
  EncodingsOrigin origin;
  if (!entry.is_object()) return UsageError("not an object");
  ASSIGN_OR_RETURN(origin.model, TextAt(entry, "model"));
  ASSIGN_OR_RETURN(origin.float_model, TextAt(entry, "float_model"));
  ASSIGN_OR_RETURN(origin.target, TextAt(entry, "target"));
  ASSIGN_OR_RETURN(origin.passes, TextAt(entry, "passes"));
  ASSIGN_OR_RETURN(origin.later, TextsAt(entry, "later_passes"));
  ASSIGN_OR_RETURN(origin.dynamic_layers, TextsAt(entry, "dynamic_layers"));
  ASSIGN_OR_RETURN(const Json* copies, Find(entry, "copies"));
  if (!copies->is_array()) return UsageError("'copies' is not a list");
  for (const Json& item : *copies) {
    EncodingsOrigin::Copy copy;
    if (!item.is_object()) return UsageError("'copies' is not a list of objects");
    ASSIGN_OR_RETURN(copy.copy, TextAt(item, "copy"));
    ASSIGN_OR_RETURN(copy.value, TextAt(item, "value"));
    ASSIGN_OR_RETURN(copy.reader, TextAt(item, "reader"));
    ASSIGN_OR_RETURN(copy.index, IntegerAt(item, "input"));
    origin.copies.push_back(std::move(copy));
  }
  return origin;
}

}  // namespace

Result<EncodingsOrigin> ParseEncodingsOrigin(const std::string& json, const std::string& source) {
  // The reader of the encodings reports errors of the file itself.
  if (NestedTooDeep(json)) return EncodingsOrigin();
  const Json root = Json::parse(json, nullptr, false);
  if (!root.is_object() || !root.contains("roundel")) return EncodingsOrigin();
  auto origin = Read(root["roundel"]);
  if (!origin.ok()) return std::move(origin).status().At(StrCat("'", source, "': 'roundel'"));
  return origin;
}

std::string EncodingsOriginJson(const EncodingsOrigin& origin) {
  Json json = {{"model", origin.model},
               {"float_model", origin.float_model},
               {"target", origin.target},
               {"passes", origin.passes},
               {"later_passes", origin.later},
               {"copies", Json::array()},
               {"dynamic_layers", origin.dynamic_layers}};
  for (const EncodingsOrigin::Copy& c : origin.copies)
    json["copies"].push_back(
        {{"copy", c.copy}, {"value", c.value}, {"reader", c.reader}, {"input", c.index}});
  return json.dump();
}

}  // namespace roundel::io
