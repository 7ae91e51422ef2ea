#pragma once
// The one form of a model that passes, placement and export rely on, whoever exported it: no local
// functions, and constants are initializers, not graph inputs, Constant nodes or nodes that compute them
// from other constants. Made once, after loading.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::engine {

struct NormalFormOptions {
  // Initializers that are graph inputs as well stay inputs, which callers may feed.
  bool keep_initializer_inputs = false;
};

// Changes the model in place; it computes the same function of its inputs. Returns what a user has to
// know, one line each.
Result<std::vector<std::string>> MakeNormalForm(graph::Model* model,
                                                const NormalFormOptions& options = {});

}  // namespace roundel::engine
