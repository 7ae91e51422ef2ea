#pragma once
// What export and import of Q/DQ nodes share: they rebuild the main graph in one go, which keeps
// both linear in the number of nodes.

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "lib/graph/graph.h"

namespace roundel::target {

// Suffixes of ONNX Runtime's quantizer; debugging tools match on them.
inline constexpr const char* kQuantizedSuffix = "_quantized";
inline constexpr const char* kScaleSuffix = "_scale";
inline constexpr const char* kZeroPointSuffix = "_zero_point";
inline constexpr const char* kQuantizeSuffix = "_QuantizeLinear";
inline constexpr const char* kQuantizeInputSuffix = "_QuantizeLinear_Input";
inline constexpr const char* kQuantizeOutputSuffix = "_QuantizeLinear_Output";
inline constexpr const char* kDequantizeSuffix = "_DequantizeLinear";
inline constexpr const char* kDequantizeOutputSuffix = "_DequantizeLinear_Output";
inline constexpr const char* kContribDomain = "com.microsoft";

bool IsQuantizeNode(const graph::Node& node);    // QuantizeLinear of either domain
bool IsDequantizeNode(const graph::Node& node);  // DequantizeLinear of either domain

// Hands out names that nothing in a graph, its sub-graphs included, uses.
class NameSet {
 public:
  explicit NameSet(const graph::Graph& graph) { Collect(graph); }
  std::string Fresh(const std::string& base);

 private:
  void Collect(const graph::Graph& graph);
  std::unordered_set<std::string> taken_;
};

using Renames = std::unordered_map<std::string, std::string>;
// Lets `node` (its sub-graphs included) read `renames.at(x)` instead of x.
void RenameReads(const Renames& renames, graph::Node* node);

// A graph with the name, inputs, outputs and other non-node parts of `graph` but no nodes,
// initializers and value_info.
std::shared_ptr<graph::Graph> EmptyCopy(const graph::Graph& graph);
// Keeps the entries of `from.value_info` whose values `to` produces.
void CopyValueInfo(const graph::Graph& from, graph::Graph* to);
// Initializers of the same type, shape and bytes become one, the first of them.
void MergeInitializers(graph::Graph* graph);
// Removes Constant nodes and initializers that nothing reads.
void RemoveUnusedConstants(graph::Graph* graph);

}  // namespace roundel::target
