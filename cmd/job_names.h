#pragma once
// The names of the files that one job writes.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/recipe/recipe.h"

namespace roundel::cmd {

struct OutputNames {
  std::string model, float_model, recipe, report, html;
  std::vector<std::string> encodings, statistics;
  bool external_data = false;

  std::vector<std::string> All() const;
};
OutputNames NamesFor(const recipe::Recipe& recipe);

// The recipe as it is written next to the model.
std::string EffectiveRecipe(const recipe::Recipe& recipe, const OutputNames& names);

// Errors: an output would replace an input, or the folder of solved layers (`store`, "" for none)
// has the name of an output.
Status CheckNames(const recipe::Recipe& recipe, const std::string& store, const OutputNames& names);

}  // namespace roundel::cmd
