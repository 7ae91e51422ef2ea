#pragma once
// A node attribute. Kinds follow ONNX AttributeProto. An attribute of an unknown kind keeps its
// bytes in `unknown` and is written back unchanged.

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "lib/tensor/tensor.h"

namespace roundel::graph {

struct Graph;

// A sub-graph (If, Loop, Scan). Shared by copies of a node; Clone() in graph.h is deep.
using GraphPtr = std::shared_ptr<Graph>;

struct Attribute {
  using Value = std::variant<std::monostate,  // only `ref_name` or `unknown` is set
                             float, int64_t, std::string, Tensor, GraphPtr, std::vector<float>,
                             std::vector<int64_t>, std::vector<std::string>, std::vector<Tensor>,
                             std::vector<GraphPtr>>;
  std::string name;
  Value value;
  std::string ref_name;  // inside functions: takes the value of the function's attribute
  std::string doc_string;
  std::string unknown;  // serialized remainder of the message (lib/io/onnx_read.cpp)
};

}  // namespace roundel::graph
