#pragma once
// Reverse mode as a graph: gradients are nodes behind the forward nodes, which the executor runs like
// any others. ARCHITECTURE.md describes the room.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::grad {

// Appends to the model's main graph nodes that compute d loss / d value for every value of `wrt`
// (graph inputs, initializers or results of nodes), and imports the domains of these nodes. The
// forward nodes stay as they are. `loss`: a float value with one element. Returns the names of the
// gradients, in the order of `wrt`; a value that the loss does not depend on gets a zero tensor of its
// shape. Only nodes between `wrt` and the loss get gradients.
// Requires: nodes in execution order.
// Errors: kModel, naming node and operator, if a node between a value of `wrt` and the loss has no
// gradient rule, or if the loss or a value does not exist.
Result<std::vector<std::string>> Backward(graph::Model* model, const std::string& loss,
                                          const std::vector<std::string>& wrt);

// Whether gradients pass through the node, from its results to its inputs of floats: empty if so, else
// the reason in one clause ("TopK has no gradient rule"). Also empty for nodes that compute sizes and
// conditions (Shape, Equal), which gradients do not need to pass. Used to bound blocks.
std::string WhyNoGradient(const graph::Model& model, const graph::Node& node);

// Whether the node's operator has a gradient for its input `index`: not for sizes, indices and frozen
// statistics.
bool HasGradient(const graph::Node& node, size_t index);

}  // namespace roundel::grad
