#pragma once
// The nodes that the engine compiles: local functions are inlined, and values that sub-graphs read
// from outside are listed as inputs.

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
  // The names inside the sub-graphs of the captured values, which are the last inputs of `node`, in
  // the same order. As inputs, captured values count as uses.
  std::vector<std::string> captured = {};
  // The function with the opset imports of the sub-graphs; nullptr: those of the model.
  const graph::Function* function = nullptr;

  size_t own_inputs() const { return node.inputs.size() - captured.size(); }
};

// Limits on expansion: functions call functions and sub-graphs contain calls, which a hostile file
// can make exponential.
struct UnfoldBudget {
  int64_t nodes = 1 << 21;
  int64_t folded_bytes = int64_t{1} << 30;  // of folded constants
  int depth = 64;                           // levels of sub-graphs
};

// The nodes of `graph`, in order. Requires a graph of the model, or a sub-graph of `function`.
Result<std::vector<FlatNode>> Flatten(const graph::Model& model, const graph::Graph& graph,
                                      const graph::Function* function, UnfoldBudget* budget);
// The nodes of the model's graph.
Result<std::vector<FlatNode>> Flatten(const graph::Model& model);

// Initializers that are not inputs, and tensors of Constant nodes.
using ConstantsByName = std::unordered_map<std::string, const Tensor*>;
ConstantsByName ConstantsOf(const graph::Graph& graph, const std::vector<FlatNode>& nodes);

}  // namespace roundel::engine
