#pragma once
// Cuts a model's nodes, in order, into stretches that run one after another, and computes the
// values that must be kept between them.

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::walk {

// The data input of a layer: input 0, or 1 for a MatMul with only the left operand constant.
const std::string& DataInput(const graph::Graph& graph, const graph::Node& layer);

class Stretches {
 public:
  // Covers the nodes that the data inputs of the layers at `targets` (ascending positions) depend
  // on, and no others. Requires: `graph` outlives this object and keeps its nodes.
  Stretches(const graph::Graph& graph, const std::vector<size_t>& targets);

  struct Part {
    std::vector<size_t> nodes;         // positions in [begin, end)
    std::vector<std::string> inputs;   // computed before, sorted
    std::vector<std::string> outputs;  // read at `end` or later, sorted
  };
  Part Between(size_t begin, size_t end) const;
  // Whether a node at `position` or later reads the value.
  bool ReadFrom(const std::string& value, size_t position) const;

 private:
  const graph::Graph& graph_;
  std::vector<bool> needed_;                           // by node
  std::unordered_map<std::string, size_t> last_read_;  // by value
};

// The values that a node and its bodies read; no constants.
std::vector<std::string> ReadsOf(const graph::Graph& graph, const graph::Node& node);

// Positions of the nodes that compute `outputs` from `inputs` and constants, ascending.
std::vector<size_t> NodesBetween(const graph::Graph& graph, const std::vector<std::string>& inputs,
                                 const std::vector<std::string>& outputs);

// The stretch as a separate model, with its constants. `types`: the types of its inputs, in their
// order.
graph::Model PartModel(const graph::Model& model, const Stretches::Part& part,
                       const std::vector<DType>& types);

}  // namespace roundel::walk
