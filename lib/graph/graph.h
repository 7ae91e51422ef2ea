#pragma once
// The model in memory: plain structs that passes read and edit. Values are identified by name, as
// in ONNX. The Graph maintains an index of producers and consumers.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/graph/attribute.h"
#include "lib/tensor/tensor.h"

namespace roundel::graph {

struct Node {
  std::string name;  // may be empty; DisplayName() never is
  std::string op_type;
  std::string domain;                // "" is ai.onnx ("ai.onnx" is normalized to "" on reading)
  std::vector<std::string> inputs;   // "" = optional input left out
  std::vector<std::string> outputs;  // "" = output not wanted
  std::vector<Attribute> attributes;
  std::string doc_string;
  std::string unknown;  // serialized fields that this struct does not model

  bool Is(const char* type, const char* in_domain = "") const {
    return op_type == type && domain == in_domain;
  }
  const std::string& input(size_t i) const;   // "" past the end
  const std::string& output(size_t i) const;  // "" past the end
  // The name that recipes and new nodes use: the node's name, or its first output if it has none.
  const std::string& NameOrOutput() const { return name.empty() ? output(0) : name; }
  // The node's name, or "Conv producing 'y'": for messages.
  std::string DisplayName() const;

  const Attribute* FindAttribute(const std::string& name) const;
  // Typed reads with a default, which is also returned if the attribute has another kind.
  int64_t Int(const std::string& name, int64_t fallback) const;
  float Float(const std::string& name, float fallback) const;
  std::string String(const std::string& name, const std::string& fallback) const;
  std::vector<int64_t> Ints(const std::string& name, std::vector<int64_t> fallback = {}) const;
  std::vector<float> Floats(const std::string& name, std::vector<float> fallback = {}) const;
  const Tensor* TensorAttribute(const std::string& name) const;
  void SetAttribute(const std::string& name, Attribute::Value value);  // adds or replaces
  void RemoveAttribute(const std::string& name);
};
using NodePtr = std::unique_ptr<Node>;

// A dimension: a number, a symbol ("batch"), or unknown.
struct Dim {
  std::optional<int64_t> value;
  std::string symbol;
  std::string unknown;  // serialized remainder
};

struct ValueInfo {
  std::string name;
  DType dtype = DType::kUndefined;        // kUndefined: not a tensor, or unknown
  std::optional<std::vector<Dim>> shape;  // nullopt: unknown rank
  std::string doc_string;
  // For types other than plain tensors (sequence, optional, map): the serialized TypeProto, which
  // then holds the whole type. For plain tensors: fields that this struct does not model.
  std::string type_bytes, unknown;
};

struct Initializer {
  std::string name;
  Tensor value;
  std::string doc_string;
  std::string unknown;
};

// One use of a value: input `index` of `node`, or index -1 for a use inside one of the node's
// sub-graphs (the value is then seen through outer scope).
struct Use {
  Node* node = nullptr;
  int index = -1;
};

struct Graph {
  std::string name, doc_string, unknown;
  std::vector<ValueInfo> inputs;  // may include initializers with a default (IR < 4 style)
  std::vector<ValueInfo> outputs;
  std::vector<ValueInfo> value_info;

  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // ---- nodes, in execution order
  const std::vector<NodePtr>& nodes() const { return nodes_; }
  Node* AddNode(Node node);  // at the end
  Node* InsertBefore(const Node* place, Node node);
  Node* InsertAfter(const Node* place, Node node);
  void RemoveNode(const Node* node);  // its outputs lose their producer
  void RemoveNodes(const std::function<bool(const Node&)>& should_remove);
  // Takes all nodes out, for callers that build a new list.
  std::vector<NodePtr> TakeNodes();
  void SetNodes(std::vector<NodePtr> nodes);
  // Stable topological order; an error names one node of a cycle.
  Status SortTopologically();

  // ---- initializers, in file order
  const std::vector<Initializer>& initializers() const { return initializers_; }
  // The constant value of `name`: an initializer that is not also a graph input, or the output of
  // a Constant node with a tensor `value`; nullptr otherwise.
  const Tensor* Constant(const std::string& name) const;
  const Tensor* FindInitializer(const std::string& name) const;  // also those that are inputs
  void SetInitializer(const std::string& name, Tensor value);    // adds or replaces
  void AddInitializer(Initializer initializer);
  void RemoveInitializer(const std::string& name);
  // Drops initializers that nothing reads and that are neither graph inputs nor outputs.
  void RemoveUnusedInitializers();

  // ---- values
  Node* Producer(const std::string& value) const;  // nullptr: input, initializer, unknown
  const std::vector<Use>& Uses(const std::string& value) const;
  bool IsInput(const std::string& value) const;
  bool IsOutput(const std::string& value) const;
  // The only reader of `value`, if there is exactly one and it is not a graph output; else nullptr.
  Node* OnlyConsumer(const std::string& value) const;
  void SetInput(Node* node, size_t index, const std::string& value);  // grows the list if needed
  void SetOutput(Node* node, size_t index, const std::string& value);
  // Makes every node that reads `from` read `to` instead. Graph outputs keep their names.
  void ReplaceUses(const std::string& from, const std::string& to);
  // `base`, or `base_1`, ...: a value and node name that is unused in the model's main graph.
  std::string FreshName(const std::string& base) const;

  // Builds the index of values, as the first query does. After that queries are thread-safe.
  void BuildIndex() const { index(); }
  // Must be called after a direct change of node inputs or outputs.
  void InvalidateIndex() { index_.reset(); }

 private:
  struct Index;
  const Index& index() const;

  std::vector<NodePtr> nodes_;
  std::vector<Initializer> initializers_;
  std::unordered_map<std::string, size_t> initializer_index_;
  mutable std::shared_ptr<Index> index_;
};

// A local function (FunctionProto).
struct Function {
  std::string name, domain, doc_string, unknown;
  std::vector<std::string> inputs, outputs, attributes;  // attributes: names without a default
  std::vector<Attribute> defaults;  // attributes that a call may omit, with their values
  std::vector<std::pair<std::string, int64_t>> opset_imports;
  std::vector<NodePtr> nodes;
};

struct Model {
  int64_t ir_version = 8;
  std::vector<std::pair<std::string, int64_t>> opset_imports;  // domain ("" = ai.onnx) -> version
  std::string producer_name, producer_version, domain, doc_string, unknown;
  int64_t model_version = 0;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<Function> functions;
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();

  int64_t Opset(const std::string& domain = "") const;  // 0 if not imported
  void SetOpset(const std::string& domain, int64_t version);
  const Function* FindFunction(const std::string& domain, const std::string& name) const;
  void SetMetadata(const std::string& key, const std::string& value);
};

// Deep copies; tensors are shared until written to.
Node Clone(const Node& node);
std::shared_ptr<Graph> Clone(const Graph& graph);
Model Clone(const Model& model);

// Calls f on every tensor-carrying node attribute's sub-graph of `node`.
void ForEachSubgraph(const Node& node, const std::function<void(Graph&)>& f);

// The same for every sub-graph whose graph may be replaced.
void ForEachSubgraphPtr(Node* node, const std::function<void(GraphPtr&)>& f);

// Adds every name of a value or node in `graph` and its sub-graphs.
void CollectNames(const Graph& graph, std::set<std::string>* names);

// The names that the sub-graphs of `node` read from the graphs around them, at any depth; sorted.
std::vector<std::string> OuterReads(const Node& node);

}  // namespace roundel::graph
