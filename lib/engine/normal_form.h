#pragma once
// The normal form that passes, placement and export require of a model: no local functions, and
// every constant is an initializer, not a graph input, a Constant node or a node that computes it
// from other constants. Made once, after loading.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::engine {

struct NormalFormOptions {
  // Keeps initializers that are also graph inputs as inputs that callers may feed.
  bool keep_initializer_inputs = false;
};

// Changes the model in place. Ensures: it computes the same function of its inputs. Returns
// warnings for the user, one line each.
Result<std::vector<std::string>> MakeNormalForm(graph::Model* model,
                                                const NormalFormOptions& options = {});

}  // namespace roundel::engine
