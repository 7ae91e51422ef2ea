#pragma once
// A recipe: sections of settings and a list of passes, read from YAML and validated against given
// specs (this room does not know the passes).
//
//   target: ort-cpu
//   weights: {bits: 8, granularity: channel}
//   data: {path: images/, preset: imagenet, count: 256}
//   passes:
//     - bn_fold
//     - calibrate: {method: percentile, percentile: 99.99}
//   rules:
//     - {op: Gemm, weights: int8}

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/recipe/params.h"

namespace roundel::recipe {

// A named table of parameters: a recipe section ("data"), a pass ("cle"), or "" for the keys that
// stand at the top level ("target", "seed").
struct SectionSpec {
  std::string name;
  std::string help;
  ParamSpecs params;
  std::string shorthand = {};  // the parameter that "section: value" sets; "": none
};

struct RecipeSpec {
  std::vector<SectionSpec> sections;
  std::vector<SectionSpec> passes;
  ParamSpecs rules = {};  // the keys of one rule; empty: recipes have no rules
};

struct Step {
  std::string pass;
  Params params;
  int line = 0;  // in the recipe file; 0 if it is from elsewhere
};

struct Rule {
  Params params;
  int line = 0;
};

struct Recipe {
  std::string source;                      // file name for messages
  std::map<std::string, Params> sections;  // every section of the spec, defaults filled in
  std::vector<Step> steps;
  std::vector<Rule> rules;  // in file order

  const Params& Section(const std::string& name) const;
};

// Errors are kUsage, "file:line: ...", with the nearest known key for an unknown one; duplicate
// keys, anchors and other YAML faults are errors, too.
Result<Recipe> ParseRecipe(const std::string& yaml, const std::string& source,
                           const RecipeSpec& spec);
// One --set override: "weights.bits=4", "seed=7", "activations=float" (a shorthand),
// "calibrate.method=percentile" (every step of that pass; an error if the recipe has none).
Status ApplyOverride(const RecipeSpec& spec, const std::string& assignment, Recipe* recipe);
// The effective recipe as YAML that ParseRecipe reads back unchanged, with every parameter (in
// rules only those that differ from the default), and with its help if `comments`.
std::string PrintRecipe(const RecipeSpec& spec, const Recipe& recipe, bool comments = false);

}  // namespace roundel::recipe
