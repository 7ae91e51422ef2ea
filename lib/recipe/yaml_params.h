#pragma once
// Reads the keys of a YAML map into parameters. Errors are kUsage, "source:line: ...", with the
// nearest known key for an unknown one.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/recipe/params.h"
#include "lib/recipe/yaml.h"

namespace roundel::recipe {

// Where a value stands: "zoo.yaml", and what holds it, such as "data" or "model 'a'".
struct Place {
  std::string source, where;
};

Status YamlError(const std::string& source, int line, const std::string& message);
// "'word'", fit for a message.
std::string Quoted(const std::string& word);
std::vector<std::string> NamesOf(const ParamSpecs& specs);
// "; did you mean 'x'?", or the known names.
std::string Hint(const std::string& word, const std::vector<std::string>& known);

// The value of the parameter `spec` from a single value or a list of them.
Result<ParamValue> ReadParamValue(const ParamSpec& spec, const YamlNode& node, const Place& place);
// One key, which must be in `specs`.
Status ReadParam(const std::string& key, const YamlNode& node, const Place& place,
                 const ParamSpecs& specs, Params* params);
// All keys of a map.
Status ReadParams(const YamlNode& node, const Place& place, const ParamSpecs& specs,
                  Params* params);

}  // namespace roundel::recipe
