#pragma once
// Passes: a pass is a function over the Session, declared once by a PassInfo. A pass never prints,
// times or checks itself (the runner does), keeps no state, and adds one record for every node that
// it declines.

#include <functional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/recipe/params.h"
#include "lib/session/session.h"

namespace roundel::passes {

struct PassInfo {
  std::string name;
  std::string summary;  // one line
  recipe::ParamSpecs params;
  bool needs_data = false;
  bool data_for_static_only = false;          // needs_data only if activations have static grids
  std::vector<std::string> data_substitutes;  // parameters that, if given, make data unnecessary
  bool needs_grids = false;                   // requires an earlier pass that assigns grids
  bool needs_input_means = false;
  bool rounds_weights = false;     // fixes codes and the corresponding biases
  bool corrects_rounding = false;  // changes biases or scales to suit the rounded weights
  // The model computes the same function after the pass; the runner checks that on data.
  bool float_equivalent = false;
  std::function<Result<Outcome>(Session&, const recipe::Params&)> run;
};

// The list from passes.def, sorted by name.
const std::vector<PassInfo>& AllPasses();
const PassInfo* FindPass(const std::string& name);

}  // namespace roundel::passes
