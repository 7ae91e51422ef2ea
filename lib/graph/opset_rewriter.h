#pragma once
// What the opset adapters share; private to lib/graph/opset*.cpp.

#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/graph.h"

namespace roundel::graph {

// Edits one graph: the main graph, a sub-graph, or the body of a function (which has no
// initializers, so that its constants become Constant nodes).
class OpsetRewriter {
 public:
  using Types = std::unordered_map<std::string, DType>;

  // `names` and `types` are those of the whole model, as it was given; both outlive the rewriter.
  OpsetRewriter(Graph* graph, std::set<std::string>* names, const Types& types, bool is_function)
      : graph_(*graph), names_(*names), types_(types), is_function_(is_function) {}
  // Of a sub-graph of what `outer` edits.
  OpsetRewriter(Graph* graph, const OpsetRewriter& outer)
      : graph_(*graph),
        outer_(&outer),
        names_(outer.names_),
        types_(outer.types_),
        is_function_(outer.is_function_) {}

  Graph& graph() { return graph_; }
  bool is_function() const { return is_function_; }

  // A name that nothing in the whole model has: sub-graphs must not hide names of outer graphs.
  std::string FreshName(const std::string& base);
  // Sets input `index` of `node` to a new constant; inputs that were missing in between are left
  // out.
  void SetConstantInput(Node* node, size_t index, const std::string& what, Tensor value);
  // Takes the attribute `name`, a list of integers, off `node`.
  std::vector<int64_t> TakeInts(Node* node, const std::string& name);

  // As far as this graph and the outer ones tell.
  std::optional<int64_t> Rank(const std::string& value) const;
  std::optional<Shape> StaticShape(const std::string& value) const;
  const Tensor* Constant(const std::string& value) const;
  // The same, and what a graph input has where callers do not feed it.
  const Tensor* Default(const std::string& value) const;
  DType Type(const std::string& value) const;  // kUndefined if not known
  // True if some node or the graph's outputs read the value.
  bool IsRead(const std::string& value) const;

 private:
  Graph& graph_;
  const OpsetRewriter* outer_ = nullptr;
  std::set<std::string>& names_;
  const Types& types_;
  bool is_function_;
};

// Rewrites one node from opset version-1 to `version`; the message of an error says what is in the
// way.
struct OpsetAdapter {
  int64_t version;
  const char* op_type;
  const char*
      attributes;  // that it reads, separated by spaces: they must not refer to a function's
  Status (*adapt)(OpsetRewriter& rewriter, Node* node);
};

// Every change of meaning or signature between opset 7 and kNewestOpset; versions of an operator
// that are not listed only admit more types or more options, and old nodes are valid under them as
// they are.
const std::vector<OpsetAdapter>& OpsetAdapters();

// ---- adapters of opset_meaning.cpp

// Whether a Softmax, LogSoftmax or Hardmax from before opset 13 had to be written out.
bool FlattenSoftmax(OpsetRewriter& rewriter, Node* node);
Status SoftmaxTo13(OpsetRewriter& rewriter, Node* node);
Status UpsampleTo9(OpsetRewriter& rewriter, Node* node);
Status UpsampleTo10(OpsetRewriter& rewriter, Node* node);
Status ResizeTo11(OpsetRewriter& rewriter, Node* node);
Status ResizeTo13(OpsetRewriter& rewriter, Node* node);
Status GroupNormalizationTo21(OpsetRewriter& rewriter, Node* node);

}  // namespace roundel::graph
