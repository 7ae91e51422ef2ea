#include "lib/recipe/recipe.h"

#include "lib/base/text.h"
#include "lib/recipe/yaml.h"
#include "lib/recipe/yaml_params.h"

namespace roundel::recipe {
namespace {

const SectionSpec* FindSection(const std::vector<SectionSpec>& specs, const std::string& name) {
  for (const SectionSpec& spec : specs)
    if (spec.name == name) return &spec;
  return nullptr;
}

std::vector<std::string> Names(const std::vector<SectionSpec>& specs) {
  std::vector<std::string> names;
  for (const SectionSpec& spec : specs)
    if (!spec.name.empty()) names.push_back(spec.name);
  return names;
}

class Reader {
 public:
  Reader(const RecipeSpec& spec, Recipe* recipe) : spec_(spec), recipe_(*recipe) {}

  Status Read(const YamlNode& root) {
    for (const SectionSpec& section : spec_.sections)
      recipe_.sections.emplace(section.name, Params(section.params));
    if (!root.IsMap())
      return Error(root.line, StrCat("a recipe is a map (key: value), not ", root.KindName()));
    bool has_passes = false;
    for (const auto& [key, node] : root.entries) {
      has_passes |= key == "passes";
      RETURN_IF_ERROR(ReadTopLevel(key, node));
    }
    if (!has_passes) return UsageError(recipe_.source + ": the recipe has no 'passes:' list");
    return OkStatus();
  }

 private:
  Status Error(int line, const std::string& message) const {
    return YamlError(recipe_.source, line, message);
  }

  Status ReadTopLevel(const std::string& key, const YamlNode& node) {
    if (key == "passes") return ReadPasses(node);
    if (key == "rules" && !spec_.rules.empty()) return ReadRules(node);
    const SectionSpec* section = key.empty() ? nullptr : FindSection(spec_.sections, key);
    if (section != nullptr) {
      if (node.IsNull()) return OkStatus();  // "data:" with everything below it commented out
      if (node.IsScalar() && !section->shorthand.empty())
        return ReadParam(section->shorthand, node, In(key), section->params,
                         &recipe_.sections[key]);
      return ReadParams(node, In(key), section->params, &recipe_.sections[key]);
    }
    const SectionSpec* top = FindSection(spec_.sections, "");
    if (top != nullptr && FindParam(top->params, key) != nullptr)
      return ReadParam(key, node, In("the recipe"), top->params, &recipe_.sections[""]);
    return Error(node.line, UnknownTopLevel(key, top));
  }

  std::string UnknownTopLevel(const std::string& key, const SectionSpec* top) const {
    const std::string message = StrCat("unknown key ", Quoted(key));
    if (FindSection(spec_.passes, key) != nullptr)
      return message + "; it is a pass: list it under 'passes:'";
    for (const SectionSpec& section : spec_.sections)
      if (FindParam(section.params, key) != nullptr)
        return StrCat(message, "; it belongs in section '", section.name, "'");
    std::vector<std::string> known = Names(spec_.sections);
    known.push_back("passes");
    if (!spec_.rules.empty()) known.push_back("rules");
    if (top != nullptr)
      for (const std::string& name : NamesOf(top->params)) known.push_back(name);
    return message + Hint(key, known);
  }

  Place In(const std::string& where) const { return {recipe_.source, where}; }

  Status ReadPasses(const YamlNode& node) {
    if (!node.IsList())
      return Error(node.line, StrCat("'passes' must be a list (- name), not ", node.KindName()));
    for (const YamlNode& item : node.items) RETURN_IF_ERROR(ReadPass(item));
    return OkStatus();
  }

  Status ReadPass(const YamlNode& item) {
    const bool single = item.IsMap() && item.entries.size() == 1;
    if (!item.IsScalar() && !single)
      return Error(item.line,
                   "a pass is '- name' or '- name: {key: value}'; indent its keys below it");
    const std::string& name = single ? item.entries[0].key : item.scalar;
    const SectionSpec* pass = FindSection(spec_.passes, name);
    if (pass == nullptr)
      return Error(item.line,
                   StrCat("unknown pass ", Quoted(name), Hint(name, Names(spec_.passes))));
    Step step{.pass = name, .params = Params(pass->params), .line = item.line};
    if (single && !item.entries[0].value.IsNull())
      RETURN_IF_ERROR(ReadParams(item.entries[0].value, In(name), pass->params, &step.params));
    recipe_.steps.push_back(std::move(step));
    return OkStatus();
  }

  Status ReadRules(const YamlNode& node) {
    if (node.IsNull()) return OkStatus();
    if (!node.IsList())
      return Error(node.line, StrCat("'rules' must be a list (- {op: Gemm, weights: int8}), not ",
                                     node.KindName()));
    for (const YamlNode& item : node.items) {
      Rule rule{.params = Params(spec_.rules), .line = item.line};
      RETURN_IF_ERROR(ReadParams(item, In("a rule"), spec_.rules, &rule.params));
      recipe_.rules.push_back(std::move(rule));
    }
    return OkStatus();
  }

  const RecipeSpec& spec_;
  Recipe& recipe_;
};

// ---- overrides

Status OverrideSteps(const SectionSpec& pass, const std::string& key, const std::string& text,
                     Recipe* recipe) {
  bool found = false;
  for (Step& step : recipe->steps) {
    if (step.pass != pass.name) continue;
    found = true;
    RETURN_IF_ERROR(step.params.SetFromText(pass.params, key, text));
  }
  if (!found) return UsageError(StrCat("the recipe has no pass '", pass.name, "'"));
  return OkStatus();
}

Status UnknownTopLevelOverride(const RecipeSpec& spec, const SectionSpec& top,
                               const std::string& key) {
  const std::string message = StrCat("unknown key ", Quoted(key));
  for (const SectionSpec& section : spec.sections)
    if (FindParam(section.params, key) != nullptr)
      return UsageError(StrCat(message, "; did you mean '", section.name, ".", key, "'?"));
  return UsageError(message + Hint(key, NamesOf(top.params)));
}

Status OverrideOne(const RecipeSpec& spec, const std::string& path, const std::string& text,
                   Recipe* recipe) {
  const size_t dot = path.find('.');
  const std::string owner = dot == std::string::npos ? "" : path.substr(0, dot);
  const std::string key = dot == std::string::npos ? path : path.substr(dot + 1);
  const SectionSpec* whole = owner.empty() ? FindSection(spec.sections, key) : nullptr;
  if (whole != nullptr && !whole->shorthand.empty())
    return recipe->sections[key].SetFromText(whole->params, whole->shorthand, text);
  if (owner.empty() && key == "rules" && !spec.rules.empty())
    return UsageError("rules are ordered and belong in a recipe file; --set cannot change them");
  if (const SectionSpec* section = FindSection(spec.sections, owner)) {
    if (owner.empty() && FindParam(section->params, key) == nullptr)
      return UnknownTopLevelOverride(spec, *section, key);
    return recipe->sections[owner].SetFromText(section->params, key, text);
  }
  if (const SectionSpec* pass = FindSection(spec.passes, owner))
    return OverrideSteps(*pass, key, text, recipe);
  std::vector<std::string> known = Names(spec.sections);
  for (const std::string& name : Names(spec.passes)) known.push_back(name);
  return UsageError(StrCat("unknown section or pass ", Quoted(owner), Hint(owner, known)));
}

// ---- printing

void PrintParams(const ParamSpecs& specs, const Params& params, const std::string& indent,
                 bool comments, std::string* out) {
  for (const ParamSpec& spec : specs) {
    if (comments) {
      const std::string range = ParamRangeText(spec);
      *out += StrCat(indent, "# ", spec.help, range.empty() ? "" : "; " + range,
                     spec.unit.empty() ? "" : " (" + spec.unit + ")", "\n");
    }
    *out += StrCat(indent, spec.name, ": ", ParamValueText(params.values().at(spec.name)), "\n");
  }
}

void PrintRules(const ParamSpecs& specs, const std::vector<Rule>& rules, bool comments,
                std::string* out) {
  if (specs.empty()) return;
  if (comments) {
    *out += "\n# Exceptions for single nodes and tensors; the first rule that matches wins.\n";
    for (const ParamSpec& spec : specs) *out += StrCat("#   ", spec.name, ": ", spec.help, "\n");
  }
  *out += rules.empty() ? "rules: []\n" : "rules:\n";
  for (const Rule& rule : rules) {
    std::vector<std::string> items;
    for (const ParamSpec& spec : specs)
      if (!rule.params.IsDefault(spec.name))
        items.push_back(
            StrCat(spec.name, ": ", ParamValueText(rule.params.values().at(spec.name))));
    *out += StrCat("  - {", Join(items), "}\n");
  }
}

}  // namespace

const Params& Recipe::Section(const std::string& name) const {
  const auto it = sections.find(name);
  INVARIANT(it != sections.end(), "recipe section '" + name + "' is not declared");
  return it->second;
}

Result<Recipe> ParseRecipe(const std::string& yaml, const std::string& source,
                           const RecipeSpec& spec) {
  ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(yaml, source));
  Recipe recipe;
  recipe.source = source;
  RETURN_IF_ERROR(Reader(spec, &recipe).Read(root));
  return recipe;
}

Status ApplyOverride(const RecipeSpec& spec, const std::string& assignment, Recipe* recipe) {
  const std::string where = StrCat("--set ", ForMessage(assignment));
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    return UsageError(where + ": expected key=value, such as weights.bits=8");
  const std::string path(Trim(assignment.substr(0, equals)));
  return OverrideOne(spec, path, assignment.substr(equals + 1), recipe).At(where);
}

std::string PrintRecipe(const RecipeSpec& spec, const Recipe& recipe, bool comments) {
  std::string out;
  for (const SectionSpec& section : spec.sections) {
    const bool top = section.name.empty();
    if (section.params.empty()) continue;
    if (!top) {
      if (comments) out += StrCat("\n# ", section.help, "\n");
      out += section.name + ":\n";
    }
    PrintParams(section.params, recipe.Section(section.name), top ? "" : "  ", comments, &out);
  }
  PrintRules(spec.rules, recipe.rules, comments, &out);
  if (comments) out += "\n";
  if (recipe.steps.empty()) return out + "passes: []\n";
  out += "passes:\n";
  for (const Step& step : recipe.steps) {
    const SectionSpec* pass = FindSection(spec.passes, step.pass);
    INVARIANT(pass != nullptr, "step '" + step.pass + "' is not in the spec");
    if (comments) out += StrCat("  # ", pass->help, "\n");
    out += StrCat("  - ", step.pass, pass->params.empty() ? "\n" : ":\n");
    PrintParams(pass->params, step.params, "      ", comments, &out);
  }
  return out;
}

}  // namespace roundel::recipe
