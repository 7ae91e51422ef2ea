#include "lib/graph/graph.h"

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include "lib/base/text.h"

namespace roundel::graph {
namespace {
const std::string kNoName;
}

const std::string& Node::input(size_t i) const { return i < inputs.size() ? inputs[i] : kNoName; }
const std::string& Node::output(size_t i) const {
  return i < outputs.size() ? outputs[i] : kNoName;
}

std::string Node::DisplayName() const {
  if (!name.empty()) return StrCat("'", Printable(name), "' (", Printable(op_type), ")");
  return StrCat(Printable(op_type), " producing '", Printable(output(0)), "'");
}

const Attribute* Node::FindAttribute(const std::string& wanted) const {
  for (const Attribute& attribute : attributes)
    if (attribute.name == wanted) return &attribute;
  return nullptr;
}

namespace {
template <typename T>
const T* Read(const Node& node, const std::string& name) {
  const Attribute* attribute = node.FindAttribute(name);
  return attribute ? std::get_if<T>(&attribute->value) : nullptr;
}
}  // namespace

int64_t Node::Int(const std::string& name, int64_t fallback) const {
  const auto* value = Read<int64_t>(*this, name);
  return value ? *value : fallback;
}
float Node::Float(const std::string& name, float fallback) const {
  const auto* value = Read<float>(*this, name);
  return value ? *value : fallback;
}
std::string Node::String(const std::string& name, const std::string& fallback) const {
  const auto* value = Read<std::string>(*this, name);
  return value ? *value : fallback;
}
std::vector<int64_t> Node::Ints(const std::string& name, std::vector<int64_t> fallback) const {
  const auto* value = Read<std::vector<int64_t>>(*this, name);
  return value ? *value : std::move(fallback);
}
std::vector<float> Node::Floats(const std::string& name, std::vector<float> fallback) const {
  const auto* value = Read<std::vector<float>>(*this, name);
  return value ? *value : std::move(fallback);
}
const Tensor* Node::TensorAttribute(const std::string& name) const {
  return Read<Tensor>(*this, name);
}

void Node::SetAttribute(const std::string& wanted, Attribute::Value value) {
  for (Attribute& attribute : attributes) {
    if (attribute.name != wanted) continue;
    attribute.value = std::move(value);
    return;
  }
  attributes.push_back({.name = wanted, .value = std::move(value)});
}

void Node::RemoveAttribute(const std::string& wanted) {
  std::erase_if(attributes, [&](const Attribute& a) { return a.name == wanted; });
}

void ForEachSubgraph(const Node& node, const std::function<void(Graph&)>& f) {
  for (const Attribute& attribute : node.attributes) {
    if (const auto* one = std::get_if<GraphPtr>(&attribute.value)) f(**one);
    if (const auto* many = std::get_if<std::vector<GraphPtr>>(&attribute.value))
      for (const GraphPtr& graph : *many) f(*graph);
  }
}

void ForEachSubgraphPtr(Node* node, const std::function<void(GraphPtr&)>& f) {
  for (Attribute& attribute : node->attributes) {
    if (auto* one = std::get_if<GraphPtr>(&attribute.value)) f(*one);
    if (auto* many = std::get_if<std::vector<GraphPtr>>(&attribute.value))
      for (GraphPtr& graph : *many) f(graph);
  }
}

void CollectNames(const Graph& graph, std::set<std::string>* names) {
  for (const ValueInfo& input : graph.inputs) names->insert(input.name);
  for (const Initializer& initializer : graph.initializers()) names->insert(initializer.name);
  for (const NodePtr& node : graph.nodes()) {
    names->insert(node->name);
    names->insert(node->inputs.begin(), node->inputs.end());
    names->insert(node->outputs.begin(), node->outputs.end());
    ForEachSubgraph(*node, [&](Graph& sub) { CollectNames(sub, names); });
  }
}

// ---- the index of producers and uses

struct Graph::Index {
  std::unordered_map<std::string, Node*> producer;
  std::unordered_map<std::string, std::vector<Use>> uses;
  std::unordered_set<std::string> inputs, outputs;
};

namespace {
// Names that `graph` reads from an enclosing scope.
void CollectOuterReads(const Graph& graph, std::set<std::string>& reads) {
  std::unordered_set<std::string> local;
  for (const ValueInfo& input : graph.inputs) local.insert(input.name);
  for (const Initializer& initializer : graph.initializers()) local.insert(initializer.name);
  for (const NodePtr& node : graph.nodes())
    for (const std::string& output : node->outputs) local.insert(output);
  std::set<std::string> inner;
  for (const NodePtr& node : graph.nodes()) {
    inner.insert(node->inputs.begin(), node->inputs.end());
    ForEachSubgraph(*node, [&](Graph& sub) { CollectOuterReads(sub, inner); });
  }
  for (const ValueInfo& output : graph.outputs) inner.insert(output.name);
  for (const std::string& name : inner)
    if (!name.empty() && !local.contains(name)) reads.insert(name);
}
}  // namespace

std::vector<std::string> OuterReads(const Node& node) {
  std::set<std::string> reads;
  ForEachSubgraph(node, [&](Graph& sub) { CollectOuterReads(sub, reads); });
  return {reads.begin(), reads.end()};
}

const Graph::Index& Graph::index() const {
  if (index_) return *index_;
  auto made = std::make_shared<Index>();
  for (const ValueInfo& input : inputs) made->inputs.insert(input.name);
  for (const ValueInfo& output : outputs) made->outputs.insert(output.name);
  for (const NodePtr& node : nodes_) {
    for (const std::string& output : node->outputs)
      if (!output.empty()) made->producer[output] = node.get();
    for (size_t i = 0; i < node->inputs.size(); ++i)
      if (!node->inputs[i].empty())
        made->uses[node->inputs[i]].push_back({node.get(), static_cast<int>(i)});
    for (const std::string& name : OuterReads(*node)) made->uses[name].push_back({node.get(), -1});
  }
  index_ = std::move(made);
  return *index_;
}

Node* Graph::Producer(const std::string& value) const {
  const auto& producer = index().producer;
  const auto it = producer.find(value);
  return it == producer.end() ? nullptr : it->second;
}
const std::vector<Use>& Graph::Uses(const std::string& value) const {
  static const std::vector<Use> kNone;
  const auto& uses = index().uses;
  const auto it = uses.find(value);
  return it == uses.end() ? kNone : it->second;
}
bool Graph::IsInput(const std::string& value) const { return index().inputs.contains(value); }
bool Graph::IsOutput(const std::string& value) const { return index().outputs.contains(value); }

Node* Graph::OnlyConsumer(const std::string& value) const {
  const std::vector<Use>& uses = Uses(value);
  return uses.size() == 1 && uses[0].index >= 0 && !IsOutput(value) ? uses[0].node : nullptr;
}

// ---- nodes

Node* Graph::AddNode(Node node) {
  nodes_.push_back(std::make_unique<Node>(std::move(node)));
  InvalidateIndex();
  return nodes_.back().get();
}

std::vector<NodePtr> Graph::TakeNodes() {
  InvalidateIndex();
  return std::exchange(nodes_, {});
}
void Graph::SetNodes(std::vector<NodePtr> nodes) {
  InvalidateIndex();
  nodes_ = std::move(nodes);
}

namespace {
auto FindNode(std::vector<NodePtr>& nodes, const Node* node) {
  const auto it = std::find_if(nodes.begin(), nodes.end(),
                               [&](const NodePtr& candidate) { return candidate.get() == node; });
  INVARIANT(it != nodes.end(), "node is not in this graph");
  return it;
}
}  // namespace

Node* Graph::InsertBefore(const Node* place, Node node) {
  InvalidateIndex();
  return nodes_.insert(FindNode(nodes_, place), std::make_unique<Node>(std::move(node)))->get();
}
Node* Graph::InsertAfter(const Node* place, Node node) {
  InvalidateIndex();
  return nodes_.insert(FindNode(nodes_, place) + 1, std::make_unique<Node>(std::move(node)))->get();
}
void Graph::RemoveNode(const Node* node) {
  InvalidateIndex();
  nodes_.erase(FindNode(nodes_, node));
}
void Graph::RemoveNodes(const std::function<bool(const Node&)>& should_remove) {
  InvalidateIndex();
  std::erase_if(nodes_, [&](const NodePtr& node) { return should_remove(*node); });
}

namespace {
using Waiters = std::unordered_map<const Node*, std::vector<Node*>>;  // producer -> readers

// A blocked node may only depend on a cycle; following its missing inputs ends inside the cycle.
const Node* NodeOfCycle(const std::vector<NodePtr>& nodes, const Waiters& waiters,
                        const std::unordered_map<const Node*, int>& missing) {
  std::unordered_map<const Node*, const Node*> waits_for;
  const Node* node = nullptr;
  for (const NodePtr& stuck : nodes) {  // in file order: the error names a deterministic node
    if (missing.at(stuck.get()) == 0) continue;
    if (node == nullptr) node = stuck.get();
    const auto readers = waiters.find(stuck.get());
    if (readers == waiters.end()) continue;
    for (const Node* reader : readers->second) waits_for.try_emplace(reader, stuck.get());
  }
  std::unordered_set<const Node*> seen;
  while (seen.insert(node).second) node = waits_for.at(node);
  return node;
}
}  // namespace

Status Graph::SortTopologically() {
  const Index& known = index();
  std::unordered_map<const Node*, int> missing;  // inputs whose producer has not been placed
  Waiters waiters;
  const auto add_edge = [&](const std::string& value, Node* reader) {
    const auto it = known.producer.find(value);
    if (it == known.producer.end()) return;
    ++missing[reader];
    waiters[it->second].push_back(reader);
  };
  for (const auto& [value, uses] : known.uses)
    for (const Use& use : uses) add_edge(value, use.node);
  std::unordered_map<const Node*, size_t> position;
  for (size_t i = 0; i < nodes_.size(); ++i) position[nodes_[i].get()] = i;
  std::set<size_t> ready;  // by old position: keeps the file's order where it is valid
  for (size_t i = 0; i < nodes_.size(); ++i)
    if (missing[nodes_[i].get()] == 0) ready.insert(i);
  std::vector<size_t> order;
  while (!ready.empty()) {
    const size_t i = *ready.begin();
    ready.erase(ready.begin());
    order.push_back(i);
    for (Node* reader : waiters[nodes_[i].get()])
      if (--missing[reader] == 0) ready.insert(position[reader]);
  }
  if (order.size() != nodes_.size()) {
    const Node* culprit = NodeOfCycle(nodes_, waiters, missing);
    return ModelError(StrCat("the graph has a cycle through node ", culprit->DisplayName()));
  }
  std::vector<NodePtr> sorted;
  sorted.reserve(nodes_.size());
  for (size_t i : order) sorted.push_back(std::move(nodes_[i]));
  nodes_ = std::move(sorted);
  return OkStatus();
}

// ---- initializers

const Tensor* Graph::FindInitializer(const std::string& name) const {
  const auto it = initializer_index_.find(name);
  return it == initializer_index_.end() ? nullptr : &initializers_[it->second].value;
}

const Tensor* Graph::Constant(const std::string& name) const {
  if (const Tensor* value = FindInitializer(name)) return IsInput(name) ? nullptr : value;
  const Node* node = Producer(name);
  return node && node->Is("Constant") ? node->TensorAttribute("value") : nullptr;
}

void Graph::AddInitializer(Initializer initializer) {
  initializer_index_[initializer.name] = initializers_.size();
  initializers_.push_back(std::move(initializer));
}

void Graph::SetInitializer(const std::string& name, Tensor value) {
  const auto it = initializer_index_.find(name);
  if (it == initializer_index_.end())
    AddInitializer({.name = name, .value = std::move(value)});
  else
    initializers_[it->second].value = std::move(value);
}

void Graph::RemoveInitializer(const std::string& name) {
  std::erase_if(initializers_, [&](const Initializer& i) { return i.name == name; });
  initializer_index_.clear();
  for (size_t i = 0; i < initializers_.size(); ++i) initializer_index_[initializers_[i].name] = i;
}

void Graph::RemoveUnusedInitializers() {
  std::erase_if(initializers_, [&](const Initializer& i) {
    return Uses(i.name).empty() && !IsInput(i.name) && !IsOutput(i.name);
  });
  initializer_index_.clear();
  for (size_t i = 0; i < initializers_.size(); ++i) initializer_index_[initializers_[i].name] = i;
}

// ---- values

void Graph::SetInput(Node* node, size_t index, const std::string& value) {
  if (node->inputs.size() <= index) node->inputs.resize(index + 1);
  node->inputs[index] = value;
  InvalidateIndex();
}
void Graph::SetOutput(Node* node, size_t index, const std::string& value) {
  if (node->outputs.size() <= index) node->outputs.resize(index + 1);
  node->outputs[index] = value;
  InvalidateIndex();
}

namespace {
bool Defines(const Graph& graph, const std::string& value) {
  return graph.IsInput(value) || graph.FindInitializer(value) || graph.Producer(value);
}

void RenameReads(Graph& graph, const std::string& from, const std::string& to) {
  for (const NodePtr& node : graph.nodes()) {
    std::replace(node->inputs.begin(), node->inputs.end(), from, to);
    ForEachSubgraph(*node, [&](Graph& sub) {
      if (Defines(sub, from)) return;  // its own value of the same name
      RenameReads(sub, from, to);
      for (ValueInfo& output : sub.outputs)
        if (output.name == from) output.name = to;
      sub.InvalidateIndex();
    });
  }
  graph.InvalidateIndex();
}
}  // namespace

void Graph::ReplaceUses(const std::string& from, const std::string& to) {
  RenameReads(*this, from, to);
}

std::string Graph::FreshName(const std::string& base) const {
  std::unordered_set<std::string> node_names;
  for (const NodePtr& node : nodes_) node_names.insert(node->name);
  const auto taken = [&](const std::string& name) {
    return node_names.contains(name) || Producer(name) || FindInitializer(name) || IsInput(name) ||
           IsOutput(name) || !Uses(name).empty();
  };
  if (!taken(base)) return base;
  for (int i = 1;; ++i) {
    const std::string name = StrCat(base, "_", i);
    if (!taken(name)) return name;
  }
}

// ---- model

int64_t Model::Opset(const std::string& wanted) const {
  for (const auto& [name, version] : opset_imports)
    if (name == wanted || (wanted.empty() && name == "ai.onnx")) return version;
  return 0;
}
void Model::SetOpset(const std::string& wanted, int64_t version) {
  for (auto& [name, current] : opset_imports) {
    if (name != wanted && !(wanted.empty() && name == "ai.onnx")) continue;
    current = version;
    return;
  }
  opset_imports.emplace_back(wanted, version);
}
const Function* Model::FindFunction(const std::string& in_domain, const std::string& name) const {
  for (const Function& function : functions)
    if (function.name == name && function.domain == in_domain) return &function;
  return nullptr;
}
void Model::SetMetadata(const std::string& key, const std::string& value) {
  for (auto& [name, current] : metadata) {
    if (name != key) continue;
    current = value;
    return;
  }
  metadata.emplace_back(key, value);
}

Node Clone(const Node& node) {
  Node copy = node;
  ForEachSubgraphPtr(&copy, [](GraphPtr& graph) { graph = Clone(*graph); });
  return copy;
}

std::shared_ptr<Graph> Clone(const Graph& graph) {
  auto copy = std::make_shared<Graph>();
  copy->name = graph.name;
  copy->doc_string = graph.doc_string;
  copy->unknown = graph.unknown;
  copy->inputs = graph.inputs;
  copy->outputs = graph.outputs;
  copy->value_info = graph.value_info;
  for (const Initializer& initializer : graph.initializers()) copy->AddInitializer(initializer);
  for (const NodePtr& node : graph.nodes()) copy->AddNode(Clone(*node));
  return copy;
}

Model Clone(const Model& model) {
  Model copy;
  copy.ir_version = model.ir_version;
  copy.opset_imports = model.opset_imports;
  copy.producer_name = model.producer_name;
  copy.producer_version = model.producer_version;
  copy.domain = model.domain;
  copy.doc_string = model.doc_string;
  copy.unknown = model.unknown;
  copy.model_version = model.model_version;
  copy.metadata = model.metadata;
  copy.graph = Clone(*model.graph);
  for (const Function& function : model.functions) {
    Function made{function.name,          function.domain,
                  function.doc_string,    function.unknown,
                  function.inputs,        function.outputs,
                  function.attributes,    function.defaults,
                  function.opset_imports, {}};
    for (const NodePtr& node : function.nodes)
      made.nodes.push_back(std::make_unique<Node>(Clone(*node)));
    copy.functions.push_back(std::move(made));
  }
  return copy;
}

}  // namespace roundel::graph
