#pragma once
// Typed parameters, declared once: the same table feeds --help, `roundel passes`, recipe validation
// and the generated documentation.

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/status.h"

namespace roundel::recipe {

using ParamValue =
    std::variant<bool, int64_t, double, std::string, std::vector<double>, std::vector<std::string>>;

struct ParamSpec {
  std::string name;
  ParamValue default_value;                               // its alternative is the parameter's type
  std::string help;                                       // one line, no full stop
  double min = -std::numeric_limits<double>::infinity();  // of numbers and list elements
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices;  // of strings and string lists; empty = any
  std::string unit;                  // "images", "bits"; "" = none
};
using ParamSpecs = std::vector<ParamSpec>;

// Values for every parameter of a spec table (defaults filled in).
class Params {
 public:
  Params() = default;
  explicit Params(const ParamSpecs& specs);
  // Typed reads; a broken INVARIANT unless the parameter is declared with that type.
  bool Bool(const std::string& name) const;
  int64_t Int(const std::string& name) const;
  double Float(const std::string& name) const;
  const std::string& String(const std::string& name) const;
  const std::vector<double>& Floats(const std::string& name) const;
  const std::vector<std::string>& Strings(const std::string& name) const;
  // True if the value equals the default, even if given (a printed recipe holds all defaults).
  bool IsDefault(const std::string& name) const;
  // Parses `text` as the parameter's type and checks range and choices. Lists are comma separated.
  // Errors: kUsage; for an unknown key with the nearest known one.
  Status SetFromText(const ParamSpecs& specs, const std::string& name, const std::string& text);
  Status SetValue(const ParamSpecs& specs, const std::string& name, ParamValue value);
  const std::map<std::string, ParamValue>& values() const { return values_; }

 private:
  std::map<std::string, ParamValue> values_;
  std::map<std::string, bool> changed_;  // differs from the default
};

// Parses `words` (one word, or the elements of a list) and checks type, range and choices. Errors:
// kUsage, "'name' ...".
Result<ParamValue> ParseParamValue(const ParamSpec& spec, const std::vector<std::string>& words);
std::string ParamValueText(const ParamValue& value);  // as YAML flow text
// The allowed values: "between 50 and 100", "one of tensor, channel"; "" = any.
std::string ParamRangeText(const ParamSpec& spec);
// "true or false", "whole number", "list of numbers" ...
std::string ParamTypeText(const ParamSpec& spec);
const ParamSpec* FindParam(const ParamSpecs& specs, const std::string& name);

}  // namespace roundel::recipe
