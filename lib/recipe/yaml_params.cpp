#include "lib/recipe/yaml_params.h"

#include "lib/base/text.h"

namespace roundel::recipe {

Status YamlError(const std::string& source, int line, const std::string& message) {
  return UsageError(StrCat(source, ":", line, ": ", message));
}

std::string Quoted(const std::string& word) { return "'" + ForMessage(word) + "'"; }

std::vector<std::string> NamesOf(const ParamSpecs& specs) {
  std::vector<std::string> names;
  for (const ParamSpec& spec : specs) names.push_back(spec.name);
  return names;
}

std::string Hint(const std::string& word, const std::vector<std::string>& known) {
  const std::string nearest = NearestName(word, known);
  if (!nearest.empty()) return StrCat("; did you mean '", nearest, "'?");
  return known.empty() ? "; it has no keys" : StrCat("; known: ", Join(known));
}

Result<ParamValue> ReadParamValue(const ParamSpec& spec, const YamlNode& node, const Place& place) {
  const auto wrong = [&](const YamlNode& at) {
    return YamlError(place.source, at.line,
                     StrCat("in ", place.where, ": '", spec.name, "' must be a ",
                            ParamTypeText(spec), ", not ", at.KindName()));
  };
  std::vector<std::string> words;
  if (node.IsScalar()) {
    words.push_back(node.scalar);
  } else if (node.IsList()) {
    const bool is_list = std::holds_alternative<std::vector<double>>(spec.default_value) ||
                         std::holds_alternative<std::vector<std::string>>(spec.default_value);
    if (!is_list) return wrong(node);
    for (const YamlNode& item : node.items) {
      if (!item.IsScalar()) return wrong(item);
      words.push_back(item.scalar);
    }
  } else {
    return wrong(node);
  }
  Result<ParamValue> value = ParseParamValue(spec, words);
  if (value.ok()) return value;
  return YamlError(place.source, node.line,
                   StrCat("in ", place.where, ": ", value.status().message()));
}

Status ReadParam(const std::string& key, const YamlNode& node, const Place& place,
                 const ParamSpecs& specs, Params* params) {
  const ParamSpec* spec = FindParam(specs, key);
  if (spec == nullptr)
    return YamlError(
        place.source, node.line,
        StrCat("unknown key ", Quoted(key), " in ", place.where, Hint(key, NamesOf(specs))));
  ASSIGN_OR_RETURN(ParamValue value, ReadParamValue(*spec, node, place));
  return params->SetValue(specs, key, std::move(value));
}

Status ReadParams(const YamlNode& node, const Place& place, const ParamSpecs& specs,
                  Params* params) {
  if (!node.IsMap())
    return YamlError(
        place.source, node.line,
        StrCat(Quoted(place.where), " must be a map (key: value), not ", node.KindName()));
  for (const auto& [key, value] : node.entries)
    RETURN_IF_ERROR(ReadParam(key, value, place, specs, params));
  return OkStatus();
}

}  // namespace roundel::recipe
