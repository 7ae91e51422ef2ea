#include "lib/graph/inline.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "lib/base/text.h"
#include "lib/graph/constant_nodes.h"
#include "lib/graph/opset.h"

namespace roundel::graph {
namespace {

// Functions call functions, and a hostile file makes that exponential.
constexpr int64_t kMaxNodes = 1 << 21;
constexpr int kMaxCallDepth = 32;

using Names = std::unordered_map<std::string, std::string>;  // in the function -> outside
using Rename = std::function<std::string(const std::string&)>;

// ---- attributes

const Attribute* FindDefault(const Function& function, const std::string& name) {
  for (const Attribute& attribute : function.defaults)
    if (attribute.name == name) return &attribute;
  return nullptr;
}

bool HasSubgraphs(const Attribute& attribute) {
  return std::holds_alternative<GraphPtr>(attribute.value) ||
         std::holds_alternative<std::vector<GraphPtr>>(attribute.value);
}

Status BindAttributes(const Node& call, const Function& function, Node* node) {
  std::vector<Attribute> bound;
  for (Attribute& attribute : node->attributes) {
    if (attribute.ref_name.empty()) {
      bound.push_back(std::move(attribute));
      continue;
    }
    const Attribute* given = call.FindAttribute(attribute.ref_name);
    if (!given) given = FindDefault(function, attribute.ref_name);
    if (!given) continue;
    if (HasSubgraphs(*given))
      return ModelError(StrCat("attribute ", given->name,
                               " hands a sub-graph to a function, which is not supported"));
    bound.push_back(*given);
    bound.back().name = attribute.name;
  }
  node->attributes = std::move(bound);
  Status status;
  ForEachSubgraph(*node, [&](Graph& sub) {
    for (const NodePtr& inner : sub.nodes())
      if (status.ok()) status = BindAttributes(call, function, inner.get());
  });
  return status;
}

// ---- names

void RenameSubgraph(const Rename& rename, Names names, Graph* graph);

void RenameNode(const Rename& rename, Names* names, Node* node) {
  for (auto* values : {&node->inputs, &node->outputs})
    for (std::string& value : *values) {
      const auto found = names->find(value);
      value = found != names->end() ? found->second
                                    : names->emplace(value, rename(value)).first->second;
    }
  if (!node->name.empty()) node->name = rename(node->name);
  ForEachSubgraph(*node, [&](Graph& sub) { RenameSubgraph(rename, *names, &sub); });
}

// `names` is a copy: names that the sub-graph defines are not visible outside.
void RenameSubgraph(const Rename& rename, Names names, Graph* graph) {
  std::set<std::string> defined;
  for (const ValueInfo& input : graph->inputs) defined.insert(input.name);
  for (const Initializer& initializer : graph->initializers()) defined.insert(initializer.name);
  for (const NodePtr& node : graph->nodes())
    defined.insert(node->outputs.begin(), node->outputs.end());
  defined.erase("");
  for (const std::string& name : defined) names[name] = rename(name);
  for (const NodePtr& node : graph->nodes()) RenameNode(rename, &names, node.get());
  const std::vector<Initializer> initializers = graph->initializers();
  for (const Initializer& initializer : initializers) graph->RemoveInitializer(initializer.name);
  for (Initializer initializer : initializers) {
    initializer.name = names.at(initializer.name);
    graph->AddInitializer(std::move(initializer));
  }
  for (auto* infos : {&graph->inputs, &graph->outputs, &graph->value_info})
    for (ValueInfo& info : *infos)
      if (const auto found = names.find(info.name); found != names.end()) info.name = found->second;
  graph->InvalidateIndex();
}

}  // namespace

Result<std::vector<Node>> ExpandCall(const Node& call, const Function& function,
                                     const Rename& rename) {
  Names names = {{"", ""}};
  for (size_t i = 0; i < function.inputs.size(); ++i) names[function.inputs[i]] = call.input(i);
  std::vector<Node> copies;  // of outputs without a separate name in the body
  for (size_t i = 0; i < function.outputs.size(); ++i) {
    const std::string& output = call.output(i);
    if (output.empty()) continue;
    const auto [place, fresh] = names.emplace(function.outputs[i], output);
    if (!fresh)
      copies.push_back({.op_type = "Identity", .inputs = {place->second}, .outputs = {output}});
  }
  std::vector<Node> nodes;
  for (const NodePtr& inner : function.nodes) {
    Node node = Clone(*inner);
    Status status = BindAttributes(call, function, &node);
    if (!status.ok()) return std::move(status).At(StrCat("function ", function.name));
    RenameNode(rename, &names, &node);
    nodes.push_back(std::move(node));
  }
  for (Node& copy : copies) nodes.push_back(std::move(copy));
  return nodes;
}

namespace {

class Inliner {
 public:
  explicit Inliner(const Model& model) : model_(model) { CollectNames(*model.graph, &names_); }

  Status Run(Graph* graph, int depth = 0) {
    std::vector<NodePtr> nodes;
    for (NodePtr& node : graph->TakeNodes())
      RETURN_IF_ERROR(Append(std::move(node), depth, &nodes));
    graph->SetNodes(std::move(nodes));
    return OkStatus();
  }

 private:
  Status Append(NodePtr node, int depth, std::vector<NodePtr>* nodes) {
    if (++count_ > kMaxNodes)
      return ModelError("inlining functions gives too many nodes: do functions call each other?");
    const Function* called = model_.FindFunction(node->domain, node->op_type);
    if (!called) {
      Status status;
      ForEachSubgraph(*node, [&](Graph& sub) {
        if (status.ok()) status = Run(&sub, depth);
      });
      nodes->push_back(std::move(node));
      return status;
    }
    if (depth >= kMaxCallDepth)
      return ModelError(StrCat("function ", called->name, " calls itself, or functions are nested ",
                               kMaxCallDepth, " deep"));
    const std::string& base = node->name.empty() ? node->op_type : node->name;
    const int64_t before = calls_[base]++;
    const std::string prefix = before == 0 ? base + "/" : StrCat(base, "_", before, "/");
    ASSIGN_OR_RETURN(std::vector<Node> body,
                     ExpandCall(*node, *called, [&](const std::string& name) {
                       return UniqueName(prefix + name, &names_);
                     }));
    for (Node& inner : body)
      RETURN_IF_ERROR(Append(std::make_unique<Node>(std::move(inner)), depth + 1, nodes));
    return OkStatus();
  }

  const Model& model_;
  std::set<std::string> names_;
  std::unordered_map<std::string, int64_t> calls_;  // so far, by the name that they have
  int64_t count_ = 0;
};

// Merges the imports of the functions: one version of ai.onnx, other domains are added.
Status MergeImports(Model* model) {
  int64_t newest = model->Opset();
  for (const Function& function : model->functions)
    for (const auto& [domain, version] : function.opset_imports)
      if (domain.empty() || domain == "ai.onnx") newest = std::max(newest, version);
  if (newest > 0) RETURN_IF_ERROR(RaiseOpset(model, newest));
  for (const Function& function : model->functions)
    for (const auto& [domain, version] : function.opset_imports)
      if (!domain.empty() && domain != "ai.onnx" && model->Opset(domain) < version)
        model->SetOpset(domain, version);
  return OkStatus();
}

bool Uses(const Graph& graph, const std::string& domain) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [&](const NodePtr& node) {
    bool found = node->domain == domain;
    ForEachSubgraph(*node, [&](Graph& sub) { found = found || Uses(sub, domain); });
    return found;
  });
}

}  // namespace

Status InlineFunctions(Model* model) {
  if (model->functions.empty()) return OkStatus();
  Model made = Clone(*model);
  RETURN_IF_ERROR(MergeImports(&made));
  RETURN_IF_ERROR(Inliner(made).Run(made.graph.get()));
  std::set<std::string> domains;
  for (const Function& function : made.functions) domains.insert(function.domain);
  made.functions.clear();
  std::erase_if(made.opset_imports, [&](const auto& import) {
    return !import.first.empty() && domains.contains(import.first) &&
           !Uses(*made.graph, import.first);
  });
  *model = std::move(made);
  return OkStatus();
}

}  // namespace roundel::graph
