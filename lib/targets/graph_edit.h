#pragma once
// Helpers of export and import of Q/DQ nodes. Both rebuild the main graph at once, so that their
// cost is linear in the number of nodes.

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "lib/graph/graph.h"

namespace roundel::target {

// Suffixes of ONNX Runtime's quantizer, which debugging tools match.
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

// Makes names that are unused in a graph and its sub-graphs.
class NameSet {
 public:
  explicit NameSet(const graph::Graph& graph) { Collect(graph); }
  std::string Fresh(const std::string& base);

 private:
  void Collect(const graph::Graph& graph);
  std::unordered_set<std::string> taken_;
};

using Renames = std::unordered_map<std::string, std::string>;
// Makes `node` and its sub-graphs read `renames.at(x)` instead of x.
void RenameReads(const Renames& renames, graph::Node* node);

// A graph with the name, inputs, outputs and other non-node parts of `graph` but no nodes,
// initializers and value_info.
std::shared_ptr<graph::Graph> EmptyCopy(const graph::Graph& graph);
// Keeps the entries of `from.value_info` whose values `to` produces.
void CopyValueInfo(const graph::Graph& from, graph::Graph* to);
// Merges initializers of equal type, shape and bytes into the first of them.
void MergeInitializers(graph::Graph* graph);
// Removes Constant nodes and initializers without readers.
void RemoveUnusedConstants(graph::Graph* graph);

}  // namespace roundel::target
