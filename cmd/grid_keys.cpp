#include "cmd/grid_keys.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>

#include "cmd/recipes.h"
#include "lib/base/text.h"
#include "lib/recipe/yaml.h"
#include "lib/targets/grid_name.h"

namespace roundel::cmd {
namespace {

using quant::Grid;
using recipe::Params;

constexpr const char* kSections[] = {"weights", "activations"};
constexpr const char* kKeys[] = {"bits", "signed", "symmetric", "narrow_range"};

// Sets a declared key; activations have no narrow_range.
void Set(const std::string& section, const char* key, const std::string& text, Params* params) {
  for (const recipe::SectionSpec& spec : FullRecipeSpec().sections)
    if (spec.name == section && recipe::FindParam(spec.params, key) != nullptr)
      INVARIANT(params->SetFromText(spec.params, key, text).ok(), "the key takes this text");
}

std::string Get(const Params& params, const char* key) {
  return params.values().count(key) != 0 ? params.String(key) : std::string(kAuto);
}

// Applies a key to a grid of integers; false if the text is not a value of the key.
bool Change(const std::string& key, const std::string& text, Grid* grid) {
  if (key == "bits") {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), grid->bits);
    return error == std::errc() && end == text.data() + text.size();
  }
  if (text != "true" && text != "false") return false;
  (key == "signed"      ? grid->is_signed
   : key == "symmetric" ? grid->symmetric
                        : grid->narrow_range) = text == "true";
  return true;
}

Status Fold(const std::string& section, Params* params) {
  const std::string name = params->String("grid");
  if (name == kAuto) return OkStatus();
  ASSIGN_OR_RETURN(Grid grid, GridByName(name, section + ".grid"));
  for (const char* key : kKeys) {
    const std::string text = Get(*params, key);
    if (text == kAuto) continue;
    if (grid.kind != quant::GridKind::kInteger)
      return UsageError(StrCat(section, ": '", key, "' has no meaning with grid ", grid.Name(),
                               "; set it to auto"));
    Grid changed = grid;
    Change(key, text, &changed);
    // A name gives the bits and the sign; further words may come from the other keys.
    const bool adds = text == "true" && key != std::string("signed");
    if (changed != grid && !adds)
      return UsageError(StrCat(section, ": grid '", name, "' and ", key, ": ", text,
                               " contradict each other; leave one out"));
    if (changed.narrow_range && !(changed.is_signed && changed.symmetric))
      return UsageError(section + ": narrow_range needs a signed symmetric grid");
    grid = changed;
  }
  if (!target::ParseGridName(grid.Name()))
    return UsageError(StrCat(section, ": there is no grid '", grid.Name(), "'"));
  Set(section, "grid", grid.Name(), params);
  for (const char* key : kKeys) Set(section, key, kAuto, params);
  return OkStatus();
}

// A later grid by name overrides all earlier grid keys, and blocks if it has its own block size.
Status OverrideByName(const std::string& section, const std::string& name,
                      const std::map<std::string, std::string>& assigned, Params* params) {
  if (name == kAuto) return OkStatus();
  ASSIGN_OR_RETURN(const Grid grid, GridByName(name, section + ".grid"));
  for (const char* key : kKeys) Set(section, key, kAuto, params);
  if (grid.block_size() == 0 || assigned.contains("granularity") ||
      assigned.contains("block_size") || params->values().count("block_size") == 0)
    return OkStatus();
  Set(section, "granularity", kAuto, params);
  Set(section, "block_size", "0", params);
  return OkStatus();
}

// Later single keys change the grid that was named earlier.
Status OverrideByKeys(const std::string& section,
                      const std::map<std::string, std::string>& assigned, Params* params) {
  const std::string name = params->String("grid");
  if (name == kAuto) return OkStatus();
  ASSIGN_OR_RETURN(Grid grid, GridByName(name, section + ".grid"));
  for (const auto& [key, text] : assigned) {
    const bool known = std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys);
    if (!known || text == kAuto) continue;
    if (grid.kind !=
        quant::GridKind::kInteger) {  // a grid of floats or signs: the later keys mean integers
      Set(section, "grid", kAuto, params);
      return OkStatus();
    }
    if (!Change(key, text, &grid)) return OkStatus();  // the assignment itself reports the error
  }
  grid.narrow_range = grid.narrow_range && grid.is_signed && grid.symmetric;
  if (!target::ParseGridName(grid.Name()))
    return UsageError(
        StrCat(section, ": there is no grid '", grid.Name(), "'; give ", section, ".grid instead"));
  Set(section, "grid", grid.Name(), params);
  return OkStatus();
}

}  // namespace

Result<Grid> GridByName(const std::string& name, const std::string& key) {
  if (const auto grid = target::ParseGridName(name)) return *grid;
  return UsageError(StrCat("'", key, "' is not a grid such as uint8 or 'int4 symmetric': '",
                           recipe::ForMessage(name), "'"));
}

Status FoldGridKeys(recipe::Recipe* recipe) {
  for (const char* section : kSections) RETURN_IF_ERROR(Fold(section, &recipe->sections[section]));
  return OkStatus();
}

Status OverrideGridKeys(const std::vector<std::string>& assignments, recipe::Recipe* recipe) {
  for (const std::string section : kSections) {
    std::map<std::string, std::string> assigned;
    for (const std::string& assignment : assignments) {
      const size_t equals = assignment.find('=');
      const std::string path(Trim(assignment.substr(0, equals)));
      if (equals != std::string::npos && path.starts_with(section + "."))
        assigned[path.substr(section.size() + 1)] = assignment.substr(equals + 1);
    }
    Params* params = &recipe->sections[section];
    RETURN_IF_ERROR(assigned.contains("grid")
                        ? OverrideByName(section, assigned["grid"], assigned, params)
                        : OverrideByKeys(section, assigned, params));
  }
  return OkStatus();
}

}  // namespace roundel::cmd
