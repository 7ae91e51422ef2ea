#pragma once
// Cuts a model's nodes, in their order, into stretches that run one after another, and says which
// values have to be kept in between.

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/graph/graph.h"

namespace roundel::walk {

// What a layer multiplies with its weight: input 0, or 1 of a MatMul whose left side alone is constant.
const std::string& DataInput(const graph::Graph& graph, const graph::Node& layer);

class Stretches {
 public:
  // Of what the data inputs of the layers at `targets` (ascending positions) depend on; the rest of
  // the model is left out. `graph` must outlive this and keep its nodes.
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
  std::vector<std::string> Reads(size_t node) const;  // values that are not constant

  const graph::Graph& graph_;
  std::vector<bool> needed_;                           // by node
  std::unordered_map<std::string, size_t> last_read_;  // by value
};

// The part as a model of its own, with the constants that it reads. Types of its inputs: `types`, in
// their order.
graph::Model PartModel(const graph::Model& model, const Stretches::Part& part,
                       const std::vector<DType>& types);

}  // namespace roundel::walk
