// From a flat graph back to bodies.

#include "lib/graph/body_scopes.h"

namespace roundel::graph {
namespace {

class Restorer {
 public:
  Restorer(const Bodies& bodies, const Graph& flat)
      : bodies_(bodies), flat_(flat), scopes_(bodies, flat) {}

  std::shared_ptr<Graph> Run() {
    MakeGraphs();
    for (const Initializer& initializer : flat_.initializers())
      graphs_[static_cast<size_t>(scopes_.PlaceOf(initializer))]->AddInitializer(initializer);
    for (auto& [node, scope] : scopes_.nodes()) Add(std::move(node), scope);
    for (size_t scope = 1; scope < graphs_.size(); ++scope) KeepOutputs(static_cast<int>(scope));
    PlaceValueInfo();
    return graphs_[0];
  }

 private:
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
    if (node.FindAttribute(kEntryTag)) {
      for (size_t i = 0; i < graph.inputs.size(); ++i) graph.inputs[i].name = node.outputs[i];
      return;
    }
    const std::vector<std::string> bodies = BodyScopes::BodyAttributes(node);
    const size_t own = scopes_.OwnInputs(node, bodies);
    for (size_t i = 0; i < own; ++i) node.inputs[i] = scopes_.NameIn(scope, node.inputs[i]);
    size_t next = own;
    for (const std::string& attribute : bodies) {
      const auto inside = static_cast<int>(node.Int(attribute, 0));
      const GraphPtr body = graphs_[static_cast<size_t>(inside)];
      for (ValueInfo& output : body->outputs)
        output.name = scopes_.NameIn(inside, node.inputs[next++]);
      node.SetAttribute(attribute, body);
    }
    node.inputs.resize(own);
    node.RemoveAttribute(kBodiesTag);
    node.RemoveAttribute(kScopeTag);
    graph.AddNode(std::move(node));
  }

  // The outputs of a body must be produced in it.
  void KeepOutputs(int scope) {
    Graph& graph = *graphs_[static_cast<size_t>(scope)];
    for (ValueInfo& output : graph.outputs) {
      if (graph.Producer(output.name) || graph.IsInput(output.name) ||
          graph.FindInitializer(output.name))
        continue;
      Node identity{.op_type = "Identity", .inputs = {output.name}};
      output.name = scopes_.Fresh(output.name);
      identity.outputs = {output.name};
      graph.AddNode(std::move(identity));
    }
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
      if (bodies_.declared.contains(info.name) || scope == scopes.end()) continue;
      graphs_[static_cast<size_t>(scope->second)]->value_info.push_back(info);
    }
  }

  const Bodies& bodies_;
  const Graph& flat_;
  BodyScopes scopes_;
  std::vector<GraphPtr> graphs_;  // by scope
};

}  // namespace

void RestoreBodies(const Bodies& bodies, Model* model, bool unite_constants) {
  if (bodies.bodies.empty()) return;
  const auto flat = model->graph;  // outlives the restorer, which reads from it
  std::unordered_map<std::string, std::string> equal;
  if (unite_constants) equal = FindEqual(BodyScopes(bodies, *flat), *flat);
  if (!equal.empty()) {
    for (const NodePtr& node : flat->nodes())
      for (std::string& input : node->inputs)
        if (const auto it = equal.find(input); it != equal.end()) input = it->second;
    flat->RemoveNodes([&](const Node& node) {
      return node.op_type == "DequantizeLinear" && equal.contains(node.output(0));
    });
    flat->RemoveUnusedInitializers();
  }
  model->graph = Restorer(bodies, *flat).Run();
}

}  // namespace roundel::graph
