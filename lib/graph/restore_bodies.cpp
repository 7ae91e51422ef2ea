// From a flat graph back to bodies.

#include <algorithm>
#include <map>
#include <set>

#include "lib/base/hash.h"
#include "lib/base/text.h"
#include "lib/graph/bodies.h"

namespace roundel::graph {
namespace {

constexpr int kUnknown = -1;

class Restorer {
 public:
  Restorer(const Bodies& bodies, Model* model) : bodies_(bodies), flat_(*model->graph) {}

  // What bodies have equal: constants, and new DequantizeLinear nodes of constants. By value, which
  // other takes its place.
  std::unordered_map<std::string, std::string> FindEqual() {
    FindScopes();
    std::unordered_map<std::string, std::string> equal;
    std::map<std::string, std::vector<std::string>> known;
    const auto take = [&](const std::string& value, std::string key) {
      std::vector<std::string>& others = known[std::move(key)];
      for (const std::string& other : others) {
        const bool in_bodies = *readers_[value].rbegin() > 0 || *readers_[other].rbegin() > 0;
        if (!in_bodies || !SameConstants(value, other)) continue;
        equal[value] = other;
        return;
      }
      others.push_back(value);
    };
    for (const Initializer& initializer : flat_.initializers()) {
      constexpr int64_t kLarge = 1024;  // bytes; two of smaller ones do not matter
      const std::string& name = initializer.name;
      if (initializer.value.dtype() != DType::kString && initializer.value.byte_size() >= kLarge &&
          !flat_.IsInput(name) && !flat_.IsOutput(name) && !readers_[name].empty())
        take(name, ContentKey(initializer.value));
    }
    for (const NodePtr& node : flat_.nodes()) {
      if (!IsDequantizer(*node) || readers_[node->output(0)].empty()) continue;
      std::string key = StrCat(node->domain, node->Int("axis", 1), ",", node->Int("block_size", 0));
      bool constant = true;
      for (const std::string& input : node->inputs) {
        const Tensor* value = flat_.FindInitializer(input);
        constant &= value != nullptr;
        if (value) key += ContentKey(*value);
      }
      if (constant) take(node->output(0), std::move(key));
    }
    return equal;
  }

  std::shared_ptr<Graph> Run() {
    FindScopes();
    MakeGraphs();
    PlaceInitializers();
    for (auto& [node, scope] : placed_) Add(std::move(node), scope);
    for (size_t scope = 1; scope < graphs_.size(); ++scope) KeepOutputs(static_cast<int>(scope));
    PlaceValueInfo();
    return graphs_[0];
  }

 private:
  struct Placed {
    Node node;
    int scope;
  };

  // ---- scopes

  int Around(int scope) const { return bodies_.bodies[static_cast<size_t>(scope - 1)].around; }
  int Depth(int scope) const { return scope == 0 ? 0 : 1 + Depth(Around(scope)); }
  int Common(int a, int b) const {
    if (a == kUnknown || b == kUnknown) return std::max(a, b);
    while (a != b) (Depth(a) >= Depth(b) ? a : b) = Around(Depth(a) >= Depth(b) ? a : b);
    return a;
  }

  // Where a value is made: a new one as deep inside as what it is made of.
  int HomeOf(const std::string& value) const {
    if (const auto known = bodies_.homes.find(value); known != bodies_.homes.end())
      return known->second;
    const auto producer = producers_.find(value);
    if (producer == producers_.end()) return 0;
    if (producer->second->FindAttribute(kScopeTag))
      return static_cast<int>(producer->second->Int(kScopeTag, 0));
    int deepest = 0;
    for (const std::string& input : producer->second->inputs)
      if (const int home = HomeOf(input); Depth(home) > Depth(deepest)) deepest = home;
    return deepest;
  }

  // The scopes that read each value, from the last node to the first.
  void FindScopes() {
    for (const NodePtr& node : flat_.nodes()) {
      for (const std::string& output : node->outputs) producers_[output] = node.get();
      for (const std::string& input : node->inputs) reading_nodes_[input].push_back(node.get());
    }
    for (const ValueInfo& output : flat_.outputs) readers_[output.name].insert(0);
    for (auto node = flat_.nodes().rbegin(); node != flat_.nodes().rend(); ++node) {
      if (IsDequantizer(**node) && ReadBesideCodes(**node))
        AddCopies(**node);
      else
        Place(**node, ScopeOf(**node));
    }
    std::reverse(placed_.begin(), placed_.end());
  }

  // A new one; it may have taken the name of a constant.
  bool IsDequantizer(const Node& node) const {
    const std::string& output = node.output(0);
    return node.op_type == "DequantizeLinear" && !node.FindAttribute(kScopeTag) &&
           (!bodies_.homes.contains(output) || bodies_.constants.contains(output));
  }

  // Whether a runtime fuses it into a reader, whose other operands are codes, too. (Weights beside
  // floats are taken over where they stand in the graph of their codes; ONNX Runtime does not look
  // for those outside.)
  bool ReadBesideCodes(const Node& node) const {
    const auto readers = reading_nodes_.find(node.output(0));
    if (readers == reading_nodes_.end()) return false;
    return std::any_of(readers->second.begin(), readers->second.end(), [&](const Node* reader) {
      if (!flat_.FindInitializer(node.input(0)) || reader->inputs.size() == 1) return true;
      return std::any_of(reader->inputs.begin(), reader->inputs.end(),
                         [&](const std::string& input) {
                           const auto producer = producers_.find(input);
                           return producer != producers_.end() &&
                                  producer->second->op_type == "DequantizeLinear" &&
                                  !flat_.FindInitializer(producer->second->input(0));
                         });
    });
  }

  int ScopeOf(const Node& node) {
    if (node.FindAttribute(kScopeTag)) return static_cast<int>(node.Int(kScopeTag, 0));
    for (const std::string& output : node.outputs)
      if (const auto home = bodies_.homes.find(output);
          home != bodies_.homes.end() && !bodies_.constants.contains(output))
        return home->second;
    // Once for all its readers, and not again in every round of a loop.
    if (node.op_type == "QuantizeLinear" || node.op_type == "DynamicQuantizeLinear")
      return HomeOf(node.input(0));
    int scope = kUnknown;
    for (const std::string& output : node.outputs)
      for (const int reader : readers_[output]) scope = Common(scope, reader);
    if (scope != kUnknown) return scope;
    return HomeOf(node.output(0));  // nobody reads it
  }

  void Place(Node node, int scope) {
    const std::vector<std::string> bodies = BodyAttributes(node);
    const size_t own = OwnInputs(node, bodies);
    const int reads_in = node.domain == kBodyDomain ? Around(scope) : scope;
    for (size_t i = 0; i < own; ++i) readers_[node.inputs[i]].insert(reads_in);
    size_t next = own;
    for (const std::string& attribute : bodies) {
      const auto inside = static_cast<int>(node.Int(attribute, 0));
      for (size_t i = 0; i < BodyOf(inside).outputs.size(); ++i)
        readers_[node.inputs[next++]].insert(inside);
    }
    placed_.push_back({std::move(node), scope});
  }

  // One for each scope that reads it; the outermost keeps the name.
  void AddCopies(const Node& node) {
    const std::string& output = node.output(0);
    const std::set<int> scopes = readers_[output];
    bool first = true;
    for (const int scope : scopes) {
      Node copy = node;
      if (!first) {
        copy.outputs[0] = Fresh(output);
        if (!copy.name.empty()) copy.name = Fresh(copy.name);
        copies_[{scope, output}] = copy.outputs[0];
      }
      first = false;
      Place(std::move(copy), scope);
    }
    if (scopes.empty()) Place(node, HomeOf(output));
  }

  std::string Fresh(const std::string& base) {
    if (names_.empty()) {
      for (const auto& [name, scope] : bodies_.homes) names_.insert(name);
      for (const Initializer& initializer : flat_.initializers()) names_.insert(initializer.name);
      for (const NodePtr& node : flat_.nodes()) {
        names_.insert(node->name);
        names_.insert(node->outputs.begin(), node->outputs.end());
      }
    }
    for (int i = 1;; ++i)
      if (std::string name = StrCat(base, "_", i); names_.insert(name).second) return name;
  }

  // ---- graphs

  const Bodies::Body& BodyOf(int scope) const {
    return bodies_.bodies[static_cast<size_t>(scope - 1)];
  }
  static std::vector<std::string> BodyAttributes(const Node& node) {
    const Attribute* names = node.FindAttribute(kBodiesTag);
    const auto* list = names ? std::get_if<std::vector<std::string>>(&names->value) : nullptr;
    return list ? *list : std::vector<std::string>();
  }
  size_t OwnInputs(const Node& node, const std::vector<std::string>& bodies) const {
    size_t own = node.inputs.size();
    for (const std::string& attribute : bodies)
      own -= BodyOf(static_cast<int>(node.Int(attribute, 0))).outputs.size();
    return own;
  }

  void MakeGraphs() {
    graphs_.push_back(std::make_shared<Graph>());
    graphs_[0]->name = flat_.name;
    graphs_[0]->doc_string = flat_.doc_string;
    graphs_[0]->unknown = flat_.unknown;
    graphs_[0]->inputs = flat_.inputs;
    graphs_[0]->outputs = flat_.outputs;
    for (const Bodies::Body& body : bodies_.bodies) {
      auto graph = std::make_shared<Graph>();
      graph->name = body.name;
      graph->doc_string = body.doc_string;
      graph->unknown = body.unknown;
      graph->inputs = body.inputs;
      graph->outputs = body.outputs;
      for (const Initializer& initializer : body.defaults) graph->AddInitializer(initializer);
      graphs_.push_back(std::move(graph));
    }
  }

  void Add(Node node, int scope) {
    Graph& graph = *graphs_[static_cast<size_t>(scope)];
    if (node.domain == kBodyDomain) {
      for (size_t i = 0; i < graph.inputs.size(); ++i) graph.inputs[i].name = node.outputs[i];
      return;
    }
    const std::vector<std::string> bodies = BodyAttributes(node);
    const size_t own = OwnInputs(node, bodies);
    for (size_t i = 0; i < own; ++i) node.inputs[i] = NameIn(scope, node.inputs[i]);
    size_t next = own;
    for (const std::string& attribute : bodies) {
      const auto inside = static_cast<int>(node.Int(attribute, 0));
      const GraphPtr body = graphs_[static_cast<size_t>(inside)];
      for (ValueInfo& output : body->outputs) output.name = NameIn(inside, node.inputs[next++]);
      node.SetAttribute(attribute, body);
    }
    node.inputs.resize(own);
    node.RemoveAttribute(kBodiesTag);
    node.RemoveAttribute(kScopeTag);
    graph.AddNode(std::move(node));
  }

  std::string NameIn(int scope, const std::string& value) const {
    const auto copy = copies_.find({scope, value});
    return copy == copies_.end() ? value : copy->second;
  }

  // A body gives what it has made itself.
  void KeepOutputs(int scope) {
    Graph& graph = *graphs_[static_cast<size_t>(scope)];
    for (ValueInfo& output : graph.outputs) {
      if (graph.Producer(output.name) || graph.IsInput(output.name) ||
          graph.FindInitializer(output.name))
        continue;
      Node identity{.op_type = "Identity", .inputs = {output.name}};
      output.name = Fresh(output.name);
      identity.outputs = {output.name};
      graph.AddNode(std::move(identity));
    }
  }

  // ---- constants

  int PlaceOf(const Initializer& initializer) {
    int scope = kUnknown;
    for (const int reader : readers_[initializer.name]) scope = Common(scope, reader);
    const auto home = bodies_.homes.find(initializer.name);
    return home == bodies_.homes.end() ? std::max(scope, 0) : Common(scope, home->second);
  }

  void PlaceInitializers() {
    for (const Initializer& initializer : flat_.initializers())
      graphs_[static_cast<size_t>(PlaceOf(initializer))]->AddInitializer(initializer);
  }

  static std::string ContentKey(const Tensor& value) {
    Hasher hasher;
    hasher.Add(value.raw(), static_cast<size_t>(value.byte_size()));
    return StrCat("|", DTypeName(value.dtype()), ShapeString(value.shape()), hasher.Hex());
  }

  // The same key alone might be chance.
  bool SameConstants(const std::string& a, const std::string& b) const {
    if (const Tensor* value = flat_.FindInitializer(a)) return *value == *flat_.FindInitializer(b);
    const Node &x = *producers_.at(a), &y = *producers_.at(b);
    for (size_t i = 0; i < x.inputs.size(); ++i)
      if (!(*flat_.FindInitializer(x.inputs[i]) == *flat_.FindInitializer(y.inputs[i])))
        return false;
    return true;
  }

  void PlaceValueInfo() {
    std::unordered_map<std::string, int> scopes;
    for (size_t scope = 0; scope < graphs_.size(); ++scope) {
      for (const NodePtr& node : graphs_[scope]->nodes())
        for (const std::string& output : node->outputs) scopes[output] = static_cast<int>(scope);
      for (const Initializer& initializer : graphs_[scope]->initializers())
        scopes[initializer.name] = static_cast<int>(scope);
    }
    for (const ValueInfo& info : flat_.value_info) {
      const auto scope = scopes.find(info.name);
      if (bodies_.told.contains(info.name) || scope == scopes.end()) continue;
      graphs_[static_cast<size_t>(scope->second)]->value_info.push_back(info);
    }
  }

  const Bodies& bodies_;
  const Graph& flat_;
  std::unordered_map<std::string, const Node*> producers_;
  std::unordered_map<std::string, std::vector<const Node*>> reading_nodes_;
  std::unordered_map<std::string, std::set<int>> readers_;
  std::vector<Placed> placed_;
  std::map<std::pair<int, std::string>, std::string> copies_;  // by scope and value
  std::vector<GraphPtr> graphs_;                               // by scope
  std::unordered_set<std::string> names_;
};

}  // namespace

void RestoreBodies(const Bodies& bodies, Model* model) {
  if (bodies.bodies.empty()) return;
  const auto flat = model->graph;  // outlives the restorer, which reads from it
  const auto equal = Restorer(bodies, model).FindEqual();
  if (!equal.empty()) {
    for (const NodePtr& node : flat->nodes())
      for (std::string& input : node->inputs)
        if (const auto it = equal.find(input); it != equal.end()) input = it->second;
    flat->RemoveNodes([&](const Node& node) {
      return node.op_type == "DequantizeLinear" && equal.contains(node.output(0));
    });
    flat->RemoveUnusedInitializers();
  }
  model->graph = Restorer(bodies, model).Run();
}

}  // namespace roundel::graph
