#include "lib/recipe/params.h"

#include <cctype>
#include <charconv>
#include <cmath>

#include "lib/base/text.h"
#include "lib/recipe/yaml.h"

namespace roundel::recipe {
namespace {

using Floats = std::vector<double>;
using Strings = std::vector<std::string>;

bool IsListParam(const ParamSpec& spec) {
  return std::holds_alternative<Floats>(spec.default_value) ||
         std::holds_alternative<Strings>(spec.default_value);
}

Status Bad(const ParamSpec& spec, const std::string& what, const std::string& got) {
  return UsageError(StrCat("'", spec.name, "' must be ", what, ", not '", ForMessage(got), "'"));
}

template <typename T>
bool ParseWhole(const std::string& word, T* value) {
  const char* begin = word.data();
  const char* end = begin + word.size();
  if (word.size() > 1 && word[0] == '+') ++begin;  // from_chars knows only '-'
  const auto [stop, error] = std::from_chars(begin, end, *value);
  return error == std::errc() && stop == end;
}

std::string NumberText(double value) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return error == std::errc() ? std::string(buffer, end) : StrCat(value);
}

Result<double> ParseNumber(const ParamSpec& spec, const std::string& word) {
  double value = 0;
  if (!ParseWhole(word, &value) || !std::isfinite(value)) return Bad(spec, "a number", word);
  return value;
}

Status CheckNumber(const ParamSpec& spec, double value) {
  if (std::isfinite(value) && value >= spec.min && value <= spec.max) return OkStatus();
  const std::string range = ParamRangeText(spec);
  return Bad(spec, range.empty() ? "a finite number" : range, NumberText(value));
}

Status CheckChoice(const ParamSpec& spec, const std::string& word) {
  if (spec.choices.empty()) return OkStatus();
  for (const std::string& choice : spec.choices)
    if (choice == word) return OkStatus();
  const std::string nearest = NearestName(word, spec.choices);
  Status status = Bad(spec, ParamRangeText(spec), word);
  if (nearest.empty()) return status;
  return UsageError(StrCat(status.message(), "; did you mean '", nearest, "'?"));
}

Status CheckValue(const ParamSpec& spec, const ParamValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value))
    return CheckNumber(spec, static_cast<double>(*number));
  if (const auto* number = std::get_if<double>(&value)) return CheckNumber(spec, *number);
  if (const auto* word = std::get_if<std::string>(&value)) return CheckChoice(spec, *word);
  if (const auto* numbers = std::get_if<Floats>(&value))
    for (double number : *numbers) RETURN_IF_ERROR(CheckNumber(spec, number));
  if (const auto* words = std::get_if<Strings>(&value))
    for (const std::string& word : *words) RETURN_IF_ERROR(CheckChoice(spec, word));
  return OkStatus();
}

Result<ParamValue> ParseWord(const ParamSpec& spec, const std::string& word) {
  if (std::holds_alternative<bool>(spec.default_value)) {
    if (word == "true" || word == "True" || word == "TRUE") return ParamValue(true);
    if (word == "false" || word == "False" || word == "FALSE") return ParamValue(false);
    return Bad(spec, "true or false", word);
  }
  if (std::holds_alternative<int64_t>(spec.default_value)) {
    int64_t value = 0;
    if (!ParseWhole(word, &value)) return Bad(spec, "a whole number", word);
    return ParamValue(value);
  }
  if (std::holds_alternative<double>(spec.default_value)) {
    ASSIGN_OR_RETURN(const double value, ParseNumber(spec, word));
    return ParamValue(value);
  }
  return ParamValue(word);
}

Result<Strings> WordsFromText(const ParamSpec& spec, const std::string& text) {
  if (!IsListParam(spec)) return Strings{text};
  const std::string trimmed(Trim(text));
  if (trimmed.empty()) return Strings{};
  Strings words;
  if (trimmed.front() == '[') {  // the list form of YAML, in which quotes protect commas
    ASSIGN_OR_RETURN(const YamlNode node, ParseYaml(trimmed, StrCat("'", spec.name, "'")));
    if (!node.IsList()) return Bad(spec, "a list", text);
    for (const YamlNode& item : node.items) {
      if (!item.IsScalar()) return Bad(spec, "a list of single values", text);
      words.push_back(item.scalar);
    }
    return words;
  }
  for (const std::string& part : Split(trimmed, ',')) words.emplace_back(Trim(part));
  return words;
}

// Whether `text` needs no quotes inside YAML flow collections. Narrower than YAML allows.
bool IsPlain(const std::string& text) {
  if (text.empty() || text == "null" || text == "Null" || text == "NULL") return false;
  for (char c : text)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '.' && c != '/' &&
        c != '-' && c != '+')
      return false;
  return text[0] != '-' && text[0] != '+';
}

std::string StringText(const std::string& text) {
  if (IsPlain(text)) return text;
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += StrFormat("\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

const ParamSpec* FindParam(const ParamSpecs& specs, const std::string& name) {
  for (const ParamSpec& spec : specs)
    if (spec.name == name) return &spec;
  return nullptr;
}

std::string ParamRangeText(const ParamSpec& spec) {
  const bool numbers = std::holds_alternative<int64_t>(spec.default_value) ||
                       std::holds_alternative<double>(spec.default_value) ||
                       std::holds_alternative<Floats>(spec.default_value);
  std::string text;
  if (!spec.choices.empty()) {
    text = "one of " + Join(spec.choices);
  } else if (numbers && std::isfinite(spec.min) && std::isfinite(spec.max)) {
    text = StrCat("between ", NumberText(spec.min), " and ", NumberText(spec.max));
  } else if (numbers && std::isfinite(spec.min)) {
    text = StrCat("at least ", NumberText(spec.min));
  } else if (numbers && std::isfinite(spec.max)) {
    text = StrCat("at most ", NumberText(spec.max));
  }
  return text;
}

std::string ParamTypeText(const ParamSpec& spec) {
  constexpr const char* kNames[] = {"true or false", "whole number",    "number",
                                    "text",          "list of numbers", "list of texts"};
  return kNames[spec.default_value.index()];
}

Result<ParamValue> ParseParamValue(const ParamSpec& spec, const std::vector<std::string>& words) {
  ParamValue value = spec.default_value;
  if (std::holds_alternative<Floats>(value)) {
    Floats numbers;
    for (const std::string& word : words) {
      ASSIGN_OR_RETURN(const double number, ParseNumber(spec, word));
      numbers.push_back(number);
    }
    value = std::move(numbers);
  } else if (std::holds_alternative<Strings>(value)) {
    value = words;
  } else {
    if (words.size() != 1) return Bad(spec, "a single value", "a list");
    ASSIGN_OR_RETURN(value, ParseWord(spec, words[0]));
  }
  RETURN_IF_ERROR(CheckValue(spec, value));
  return value;
}

Params::Params(const ParamSpecs& specs) {
  for (const ParamSpec& spec : specs) values_[spec.name] = spec.default_value;
}

namespace {
template <typename T>
const T& Typed(const std::map<std::string, ParamValue>& values, const std::string& name) {
  const auto it = values.find(name);
  INVARIANT(it != values.end(), "parameter '" + name + "' is not declared");
  const T* value = std::get_if<T>(&it->second);
  INVARIANT(value != nullptr, "parameter '" + name + "' has another type");
  return *value;
}
}  // namespace

bool Params::Bool(const std::string& name) const { return Typed<bool>(values_, name); }
int64_t Params::Int(const std::string& name) const { return Typed<int64_t>(values_, name); }
double Params::Float(const std::string& name) const { return Typed<double>(values_, name); }
const std::string& Params::String(const std::string& name) const {
  return Typed<std::string>(values_, name);
}
const Floats& Params::Floats(const std::string& name) const {
  return Typed<std::vector<double>>(values_, name);
}
const Strings& Params::Strings(const std::string& name) const {
  return Typed<std::vector<std::string>>(values_, name);
}

bool Params::IsDefault(const std::string& name) const {
  INVARIANT(values_.count(name) != 0, "parameter '" + name + "' is not declared");
  const auto it = changed_.find(name);
  return it == changed_.end() || !it->second;
}

namespace {
Result<const ParamSpec*> SpecOf(const ParamSpecs& specs, const std::string& name) {
  if (const ParamSpec* spec = FindParam(specs, name)) return spec;
  std::vector<std::string> names;
  for (const ParamSpec& spec : specs) names.push_back(spec.name);
  const std::string nearest = NearestName(name, names);
  std::string message = StrCat("unknown key '", ForMessage(name), "'");
  if (!nearest.empty()) message += StrCat("; did you mean '", nearest, "'?");
  return UsageError(message);
}
}  // namespace

Status Params::SetFromText(const ParamSpecs& specs, const std::string& name,
                           const std::string& text) {
  ASSIGN_OR_RETURN(const ParamSpec* spec, SpecOf(specs, name));
  ASSIGN_OR_RETURN(const auto words, WordsFromText(*spec, text));
  ASSIGN_OR_RETURN(ParamValue value, ParseParamValue(*spec, words));
  return SetValue(specs, name, std::move(value));
}

Status Params::SetValue(const ParamSpecs& specs, const std::string& name, ParamValue value) {
  ASSIGN_OR_RETURN(const ParamSpec* spec, SpecOf(specs, name));
  if (const auto* whole = std::get_if<int64_t>(&value);
      whole != nullptr && std::holds_alternative<double>(spec->default_value))
    value = static_cast<double>(*whole);
  if (value.index() != spec->default_value.index())
    return UsageError(StrCat("'", name, "' must be a ", ParamTypeText(*spec)));
  RETURN_IF_ERROR(CheckValue(*spec, value));
  changed_[name] = value != spec->default_value;
  values_[name] = std::move(value);
  return OkStatus();
}

std::string ParamValueText(const ParamValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<int64_t>(&value)) return StrCat(*number);
  if (const auto* number = std::get_if<double>(&value)) return NumberText(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return StringText(*text);
  std::vector<std::string> items;
  if (const auto* numbers = std::get_if<Floats>(&value))
    for (double number : *numbers) items.push_back(NumberText(number));
  if (const auto* texts = std::get_if<Strings>(&value))
    for (const std::string& text : *texts) items.push_back(StringText(text));
  return "[" + Join(items) + "]";
}

}  // namespace roundel::recipe
