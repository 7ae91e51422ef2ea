#include "lib/graph/bodies.h"

#include "lib/base/text.h"
#include "lib/graph/value_types.h"

namespace roundel::graph {
namespace {

bool IsControl(const Node& node) {
  return node.Is("If") || node.Is("Loop") || node.Is("Scan") || node.Is("SequenceMap");
}

void CollectNames(const Graph& graph, std::unordered_set<std::string>* names) {
  for (const ValueInfo& input : graph.inputs) names->insert(input.name);
  for (const Initializer& initializer : graph.initializers()) names->insert(initializer.name);
  for (const NodePtr& node : graph.nodes()) {
    names->insert(node->outputs.begin(), node->outputs.end());
    ForEachSubgraph(*node, [&](Graph& sub) { CollectNames(sub, names); });
  }
}

class Renamer {
 public:
  explicit Renamer(Graph* graph) {
    CollectNames(*graph, &all_);
    Visit(graph, {}, true);
  }

 private:
  using Renames = std::unordered_map<std::string, std::string>;

  // `renames`: new names of renamed values of the outer graphs.
  void Visit(Graph* graph, Renames renames, bool outermost) {
    std::unordered_set<std::string> local;
    const auto define = [&](const std::string& name) {
      if (name.empty() || !local.insert(name).second) return;
      std::string made = outermost ? name : Fresh(name);
      renames.erase(name);  // of an outer value with the same name
      if (outermost) taken_.insert(name);
      if (made != name) renames[name] = std::move(made);
    };
    for (const ValueInfo& input : graph->inputs) define(input.name);
    for (const Initializer& initializer : graph->initializers()) define(initializer.name);
    for (const NodePtr& node : graph->nodes())
      for (const std::string& output : node->outputs) define(output);
    if (!renames.empty()) Apply(graph, renames);
    for (const NodePtr& node : graph->nodes())
      ForEachSubgraph(*node, [&](Graph& sub) { Visit(&sub, renames, false); });
  }

  std::string Fresh(const std::string& name) {
    if (taken_.insert(name).second) return name;
    for (int i = 1;; ++i) {
      const std::string made = StrCat(name, "_", i);
      if (all_.contains(made) || !taken_.insert(made).second) continue;
      return made;
    }
  }

  static void Apply(Graph* graph, const Renames& renames) {
    const auto rename = [&](std::string* name) {
      if (const auto it = renames.find(*name); it != renames.end()) *name = it->second;
    };
    for (auto* infos : {&graph->inputs, &graph->outputs, &graph->value_info})
      for (ValueInfo& info : *infos) rename(&info.name);
    const std::vector<Initializer> initializers = graph->initializers();
    for (Initializer initializer : initializers) {
      if (!renames.contains(initializer.name)) continue;
      graph->RemoveInitializer(initializer.name);
      rename(&initializer.name);
      graph->AddInitializer(std::move(initializer));
    }
    for (const NodePtr& node : graph->nodes())
      for (auto* list : {&node->inputs, &node->outputs})
        for (std::string& name : *list) rename(&name);
    graph->InvalidateIndex();
  }

  std::unordered_set<std::string> all_, taken_;
};

// ---- flat

class Flattener {
 public:
  explicit Flattener(const Model& model) : types_(InferValueTypes(model)) {}

  std::shared_ptr<Graph> Run(const Graph& graph) {
    flat_->name = graph.name;
    flat_->doc_string = graph.doc_string;
    flat_->unknown = graph.unknown;
    flat_->inputs = graph.inputs;
    flat_->outputs = graph.outputs;
    for (const ValueInfo& input : graph.inputs) bodies_.homes[input.name] = 0;
    Walk(graph, 0);
    for (ValueInfo& info : declared_values_) {
      const auto [known, fresh] = declared_.emplace(info.name, flat_->value_info.size());
      if (!fresh) {  // perhaps without its type
        flat_->value_info[known->second].dtype = info.dtype;
        continue;
      }
      bodies_.declared.insert(info.name);
      flat_->value_info.push_back(std::move(info));
    }
    return flat_;
  }
  Bodies Take() { return std::move(bodies_); }

 private:
  void Walk(const Graph& graph, int scope) {
    for (const Initializer& initializer : graph.initializers()) {
      if (scope > 0 && bodies_.homes.contains(initializer.name)) {  // a default of an input
        bodies_.bodies[static_cast<size_t>(scope - 1)].defaults.push_back(initializer);
        continue;
      }
      bodies_.homes[initializer.name] = scope;
      bodies_.constants.insert(initializer.name);
      flat_->AddInitializer(initializer);
    }
    for (const ValueInfo& info : graph.value_info)
      if (declared_.emplace(info.name, flat_->value_info.size()).second)
        flat_->value_info.push_back(info);
    for (const NodePtr& node : graph.nodes()) {
      Node copy = *node;
      for (const char* tag : {kScopeTag, kBodiesTag, kEntryTag}) copy.RemoveAttribute(tag);
      if (IsControl(copy)) LayOut(&copy, scope);
      for (const std::string& output : copy.outputs)
        if (!output.empty()) bodies_.homes[output] = scope;
      copy.SetAttribute(kScopeTag, int64_t{scope});
      flat_->AddNode(std::move(copy));
    }
  }

  void LayOut(Node* node, int scope) {
    const std::vector<std::string> own = node->inputs;
    std::vector<std::string> attributes;
    for (Attribute& attribute : node->attributes) {
      auto* body = std::get_if<GraphPtr>(&attribute.value);
      if (!body) continue;
      const GraphPtr graph = *body;
      attributes.push_back(attribute.name);
      bodies_.bodies.push_back({.name = graph->name,
                                .doc_string = graph->doc_string,
                                .unknown = graph->unknown,
                                .inputs = graph->inputs,
                                .outputs = graph->outputs,
                                .defaults = {},
                                .around = scope,
                                .repeats = !node->Is("If")});
      const auto inside = static_cast<int>(bodies_.bodies.size());
      attribute.value = int64_t{inside};
      AddInputs(*graph, own, inside);
      Walk(*graph, inside);
      for (const ValueInfo& output : graph->outputs) node->inputs.push_back(output.name);
    }
    for (const std::string& output : node->outputs) Declare({.name = output});
    if (!attributes.empty()) node->SetAttribute(kBodiesTag, std::move(attributes));
  }

  void AddInputs(const Graph& graph, const std::vector<std::string>& own, int scope) {
    if (graph.inputs.empty()) return;
    Node inputs{.op_type = "BodyInputs", .domain = kBodyDomain, .inputs = own};
    for (const ValueInfo& input : graph.inputs) {
      inputs.outputs.push_back(input.name);
      bodies_.homes[input.name] = scope;
      Declare(input);
    }
    inputs.SetAttribute(kScopeTag, int64_t{scope});
    inputs.SetAttribute(kEntryTag, int64_t{1});
    flat_->AddNode(std::move(inputs));
  }

  void Declare(ValueInfo info) {
    const auto type = types_.find(info.name);
    if (type != types_.end()) info.dtype = type->second;
    if (!info.name.empty()) declared_values_.push_back(std::move(info));
  }

  const std::unordered_map<std::string, DType> types_;
  std::shared_ptr<Graph> flat_ = std::make_shared<Graph>();
  Bodies bodies_;
  std::vector<ValueInfo> declared_values_;
  std::unordered_map<std::string, size_t> declared_;  // index into flat_->value_info
};

}  // namespace

void MakeNamesUnique(Model* model) {
  if (HasBodies(*model->graph)) Renamer(model->graph.get());
}

bool HasBodies(const Graph& graph) {
  for (const NodePtr& node : graph.nodes())
    if (IsControl(*node))
      for (const Attribute& attribute : node->attributes)
        if (std::holds_alternative<GraphPtr>(attribute.value)) return true;
  return false;
}

Bodies FlattenBodies(Model* model) {
  if (!HasBodies(*model->graph)) return {};
  MakeNamesUnique(model);
  Flattener flattener(*model);
  model->graph = flattener.Run(*model->graph);
  return flattener.Take();
}

std::shared_ptr<Graph> WithBodies(const Model& model) {
  if (!HasBodies(*model.graph)) return model.graph;
  Model flat = Clone(model);
  FlattenBodies(&flat);
  return flat.graph;
}

const Tensor* ConstantInBodies(const Graph& graph, const std::string& name) {
  if (const Tensor* found = graph.Constant(name)) return found;
  const Tensor* found = nullptr;
  for (const NodePtr& node : graph.nodes())
    ForEachSubgraph(*node, [&](Graph& sub) {
      if (!found) found = ConstantInBodies(sub, name);
    });
  return found;
}

}  // namespace roundel::graph
