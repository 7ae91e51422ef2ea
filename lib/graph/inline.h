#pragma once
// Calls of local functions replaced by what the functions do.

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

// The nodes that `call` stands for, in the function's order. Attributes that refer to the function's take
// their values from the call, else from the function's defaults, else they vanish. Values that the body
// makes, those of its sub-graphs included, and nodes are named by `rename`, which gives every name of the
// body a name of its own; what comes in and goes out is named as in the call.
Result<std::vector<Node>> ExpandCall(const Node& call, const Function& function,
                                     const std::function<std::string(const std::string&)>& rename);

// Replaces every call in the model's graph and its sub-graphs, calls inside of functions included, and
// drops the functions. If the functions follow another version of the ai.onnx operators than the model, all
// are raised to the newest of them. The model is unchanged after an error.
Status InlineFunctions(Model* model);

}  // namespace roundel::graph
