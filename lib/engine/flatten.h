#pragma once
// Nodes as the engine sees them: calls of local functions replaced by the functions' bodies, and
// what sub-graphs read from around them listed as inputs.

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::engine {

struct FlatNode {
  graph::Node node;
  int64_t opset = 0;
  // The last inputs of `node` are what its sub-graphs capture, so that whoever looks at inputs sees
  // those uses, too. These are the names that the sub-graphs have for them, in the same order.
  std::vector<std::string> captured = {};
  // Whose opset imports count for nodes of the sub-graphs; nullptr: the model's.
  const graph::Function* function = nullptr;

  size_t own_inputs() const { return node.inputs.size() - captured.size(); }
};

// How far a model may still unfold: functions call functions and sub-graphs hold calls, and a
// hostile file makes that exponential.
struct UnfoldBudget {
  int64_t nodes = 1 << 21;
  int64_t folded_bytes = int64_t{1} << 30;  // of constants that are computed beforehand
  int depth = 64;                           // levels of sub-graphs
};

// The nodes of `graph`, which is the model's, or a sub-graph in it or in `function`, in its order.
Result<std::vector<FlatNode>> Flatten(const graph::Model& model, const graph::Graph& graph,
                                      const graph::Function* function, UnfoldBudget* budget);
// The nodes of the model's graph.
Result<std::vector<FlatNode>> Flatten(const graph::Model& model);

// Initializers that are no inputs, and tensors of Constant nodes.
using ConstantsByName = std::unordered_map<std::string, const Tensor*>;
ConstantsByName ConstantsOf(const graph::Graph& graph, const std::vector<FlatNode>& nodes);

}  // namespace roundel::engine
