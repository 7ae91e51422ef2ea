#include "lib/batch/manifest.h"

#include <charconv>
#include <cmath>

#include "lib/base/text.h"
#include "lib/recipe/yaml.h"
#include "lib/recipe/yaml_params.h"

namespace roundel::batch {
namespace {

using recipe::ParamSpec;
using recipe::ParamSpecs;
using recipe::ParamValue;
using recipe::Place;
using recipe::YamlError;
using recipe::YamlNode;
using Strings = std::vector<std::string>;
using Values = std::map<std::string, ParamValue>;

constexpr const char* kMaps[] = {"data", "eval", "gates", "set"};

ParamSpec Text(const char* name) { return {.name = name, .default_value = std::string()}; }

// The keys with one value or a list. `id` and `model` have no default.
ParamSpecs EntrySpecs(bool defaults) {
  ParamSpecs specs = {Text("recipe"),
                      Text("target"),
                      Text("timeout"),
                      Text("memory"),
                      {.name = "tags", .default_value = Strings{}}};
  if (!defaults) specs.insert(specs.begin(), {Text("id"), Text("model")});
  return specs;
}

class Reader {
 public:
  Reader(const std::string& source, const ManifestSpec& spec) : source_(source), spec_(spec) {}

  Status Read(const YamlNode& root, std::vector<Entry>* entries) {
    if (!root.IsMap())
      return YamlError(source_, root.line,
                       StrCat("a manifest is a map with the key 'models', not ", root.KindName()));
    const YamlNode* models = nullptr;
    for (const auto& [key, node] : root.entries) {
      if (key == "models") {
        models = &node;
      } else if (key == "defaults") {
        if (!node.IsNull()) RETURN_IF_ERROR(ReadEntry(node, true, &defaults_));
      } else {
        return YamlError(
            source_, node.line,
            StrCat("unknown key ", recipe::Quoted(key), recipe::Hint(key, {"defaults", "models"})));
      }
    }
    if (models == nullptr) return UsageError(source_ + ": the manifest has no 'models:' list");
    if (!models->IsList())
      return YamlError(source_, models->line,
                       StrCat("'models' must be a list, not ", models->KindName()));
    if (models->items.empty()) return YamlError(source_, models->line, "'models' is empty");
    for (const YamlNode& item : models->items) {
      entries->push_back(defaults_);
      RETURN_IF_ERROR(ReadEntry(item, false, &entries->back()));
    }
    return OkStatus();
  }

 private:
  Status ReadEntry(const YamlNode& node, bool defaults, Entry* entry) {
    entry->line = node.line;
    if (!defaults && node.IsScalar()) {
      entry->model = node.scalar;
      return CheckModel(node.line, *entry);
    }
    if (!node.IsMap())
      return YamlError(source_, node.line,
                       StrCat(defaults ? "'defaults' must be a map (key: value), not "
                                       : "a model is a path or a map with the key 'model', not ",
                              node.KindName()));
    const YamlNode* id = defaults ? nullptr : node.Find("id");
    const Place place{source_, defaults               ? "defaults"
                               : id && id->IsScalar() ? "model " + recipe::Quoted(id->scalar)
                                                      : "a model"};
    for (const auto& [key, value] : node.entries)
      RETURN_IF_ERROR(ReadKey(key, value, place, defaults, entry));
    return defaults ? OkStatus() : CheckModel(node.line, *entry);
  }

  Status CheckModel(int line, const Entry& entry) const {
    if (!entry.model.empty()) return OkStatus();
    return YamlError(source_, line, "a model needs the key 'model', the path of an ONNX file");
  }

  Status ReadKey(const std::string& key, const YamlNode& node, const Place& place, bool defaults,
                 Entry* entry) {
    if (key == "data") return ReadData(node, place, key, &entry->data);
    if (key == "eval") return ReadData(node, place, key, &entry->eval);
    if (key == "gates") return ReadValues(node, place, key, spec_.gates, &entry->gates);
    if (key == "set") return ReadSet(node, place, entry);
    const ParamSpecs specs = EntrySpecs(defaults);
    const ParamSpec* spec = recipe::FindParam(specs, key);
    if (spec == nullptr) {
      Strings known = recipe::NamesOf(specs);
      known.insert(known.end(), std::begin(kMaps), std::end(kMaps));
      return YamlError(source_, node.line,
                       StrCat("unknown key ", recipe::Quoted(key), " in ", place.where,
                              recipe::Hint(key, known)));
    }
    ASSIGN_OR_RETURN(const ParamValue value, recipe::ReadParamValue(*spec, node, place));
    return Store(key, value, node.line, place, entry);
  }

  Status Store(const std::string& key, const ParamValue& value, int line, const Place& place,
               Entry* entry) const {
    if (const auto* words = std::get_if<Strings>(&value)) {
      entry->tags = *words;
      return OkStatus();
    }
    const std::string& text = std::get<std::string>(value);
    const auto refuse = [&](const char* what) {
      return YamlError(source_, line,
                       StrCat("in ", place.where, ": '", key, "' must be ", what, ", not ",
                              recipe::Quoted(text)));
    };
    if (key == "id") entry->id = text;
    if (key == "model") entry->model = text;
    if (key == "recipe") entry->recipe = text;
    if (key == "target") entry->target = text;
    if (key == "timeout") {
      entry->timeout = ParseSeconds(text);
      if (entry->timeout <= 0) return refuse("a time such as 90s, 15m or 2h");
    }
    if (key == "memory") {
      entry->memory = ParseBytes(text).value_or(0);
      if (entry->memory <= 0) return refuse("a size such as 800M or 6GiB");
    }
    return OkStatus();
  }

  Status ReadData(const YamlNode& node, const Place& place, const std::string& key,
                  Values* values) {
    if (!node.IsScalar()) return ReadValues(node, place, key, spec_.data, values);
    (*values)["path"] = node.scalar;
    return OkStatus();
  }

  Status ReadValues(const YamlNode& node, const Place& place, const std::string& key,
                    const ParamSpecs& specs, Values* values) {
    if (node.IsNull()) return OkStatus();
    recipe::Params read(specs);
    RETURN_IF_ERROR(recipe::ReadParams(node, {source_, key + " of " + place.where}, specs, &read));
    for (const auto& [name, unused] : node.entries) (*values)[name] = read.values().at(name);
    return OkStatus();
  }

  // Keys as --set has them: "weights.bits: 4".
  Status ReadSet(const YamlNode& node, const Place& place, Entry* entry) {
    if (node.IsNull()) return OkStatus();
    const auto wrong = [&](const YamlNode& at, const std::string& what) {
      return YamlError(source_, at.line,
                       StrCat("set of ", place.where, " ", what, ", not ", at.KindName()));
    };
    if (!node.IsMap()) return wrong(node, "must be a map such as {weights.bits: 4}");
    for (const auto& [key, value] : node.entries) {
      if (value.IsScalar()) {
        entry->set[key] = value.scalar;
        continue;
      }
      const std::string what = StrCat("has for ", recipe::Quoted(key),
                                      " something else than a value or a list of values");
      if (!value.IsList()) return wrong(value, what);
      Strings words;
      for (const YamlNode& item : value.items) {
        if (!item.IsScalar()) return wrong(item, what);
        words.push_back(item.scalar);
      }
      entry->set[key] = recipe::ParamValueText(words);
    }
    return OkStatus();
  }

  const std::string& source_;
  const ManifestSpec& spec_;
  Entry defaults_;
};

}  // namespace

double ParseSeconds(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || !std::isfinite(value) || value < 0 || value > 1e8) return -1;
  const std::string unit(Trim(std::string(stop, end)));
  if (unit.empty() || unit == "s") return value;
  if (unit == "m") return value * 60;
  if (unit == "h") return value * 3600;
  if (unit == "d") return value * 86400;
  return -1;
}

Result<std::vector<Entry>> ParseManifest(const std::string& text, const std::string& source,
                                         const ManifestSpec& spec) {
  ASSIGN_OR_RETURN(const YamlNode root, recipe::ParseYaml(text, source));
  std::vector<Entry> entries;
  RETURN_IF_ERROR(Reader(source, spec).Read(root, &entries));
  return entries;
}

}  // namespace roundel::batch
