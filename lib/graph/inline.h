#pragma once
// Inlining of local functions.

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

// The nodes that replace `call`, in the function's order. Attributes that refer to attributes of
// the function take their values from the call, else from the function's defaults; else they are
// removed. `rename` maps every name of a node or inner value of the body, including its sub-graphs,
// to a unique name; inputs and outputs have the names of the call.
Result<std::vector<Node>> ExpandCall(const Node& call, const Function& function,
                                     const std::function<std::string(const std::string&)>& rename);

// Inlines every call in the model's graph, its sub-graphs and its functions, and removes the
// functions. If functions import another ai.onnx opset than the model, all are raised to the newest
// one. After an error the model is unchanged.
Status InlineFunctions(Model* model);

}  // namespace roundel::graph
