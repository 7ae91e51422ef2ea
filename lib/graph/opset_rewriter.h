#pragma once
// Functions shared by the opset adapters; private to lib/graph/opset*.cpp.

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

// Edits one graph: the main graph, a sub-graph, or the body of a function (which has no
// initializers: its constants become Constant nodes).
class OpsetRewriter {
 public:
  using Types = std::unordered_map<std::string, DType>;

  // `names` and `types` are those of the whole original model. Requires: both outlive the rewriter.
  OpsetRewriter(Graph* graph, std::set<std::string>* names, const Types& types, bool is_function)
      : graph_(*graph), names_(*names), types_(types), is_function_(is_function) {}
  // For a sub-graph of the graph that `outer` edits.
  OpsetRewriter(Graph* graph, const OpsetRewriter& outer)
      : graph_(*graph),
        outer_(&outer),
        names_(outer.names_),
        types_(outer.types_),
        is_function_(outer.is_function_) {}

  Graph& graph() { return graph_; }
  bool is_function() const { return is_function_; }

  // A name that is unused in the whole model: sub-graphs must not hide names of outer graphs.
  std::string FreshName(const std::string& base);
  // Sets input `index` of `node` to a new constant; missing inputs before it become
  // "".
  void SetConstantInput(Node* node, size_t index, const std::string& what, Tensor value);
  // Removes the attribute `name`, a list of integers, from `node` and returns it.
  std::vector<int64_t> TakeInts(Node* node, const std::string& name);

  // From this graph and the outer ones; nullopt if unknown.
  std::optional<int64_t> Rank(const std::string& value) const;
  std::optional<Shape> StaticShape(const std::string& value) const;
  const Tensor* Constant(const std::string& value) const;
  // The same, and the default of a graph input.
  const Tensor* Default(const std::string& value) const;
  DType Type(const std::string& value) const;  // kUndefined if unknown
  // True if some node or the graph's outputs read the value.
  bool IsRead(const std::string& value) const;

 private:
  Graph& graph_;
  const OpsetRewriter* outer_ = nullptr;
  std::set<std::string>& names_;
  const Types& types_;
  bool is_function_;
};

// Rewrites one node from opset version-1 to `version`. Error messages state the
// obstacle.
struct OpsetAdapter {
  int64_t version;
  const char* op_type;
  const char*
      attributes;  // that it reads, separated by spaces: they must not refer to a function's
  Status (*adapt)(OpsetRewriter& rewriter, Node* node);
};

// Every change of meaning or signature between opset 7 and kNewestOpset. Versions that
// are not listed only allow more types or options, so that old nodes are valid under
// them.
const std::vector<OpsetAdapter>& OpsetAdapters();

// ---- adapters of opset_meaning.cpp

// Rewrites a Softmax, LogSoftmax or Hardmax from before opset 13; false if that was not necessary.
bool FlattenSoftmax(OpsetRewriter& rewriter, Node* node);
Status SoftmaxTo13(OpsetRewriter& rewriter, Node* node);
Status UpsampleTo9(OpsetRewriter& rewriter, Node* node);
Status UpsampleTo10(OpsetRewriter& rewriter, Node* node);
Status ResizeTo11(OpsetRewriter& rewriter, Node* node);
Status ResizeTo13(OpsetRewriter& rewriter, Node* node);
Status GroupNormalizationTo21(OpsetRewriter& rewriter, Node* node);

}  // namespace roundel::graph
