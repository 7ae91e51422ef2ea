#include "lib/graph/check.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "lib/base/text.h"

namespace roundel::graph {
namespace {

// Levels of sub-graphs, and of functions that call functions. Everything that walks a model
// recurses along them; protobuf itself stops at 100 nested messages, three of which make one level.
constexpr int kMaxDepth = 64;
// Limit on nodes after inlining all calls: thirty functions that each call the next one twice would
// expand to a billion nodes.
constexpr int64_t kMaxInlinedNodes = 10'000'000;

// Names that a graph or function defines, and those around it.
struct Scope {
  std::unordered_set<std::string_view> names;
  const Scope* outer = nullptr;

  bool Contains(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer)
      if (scope->names.contains(name)) return true;
    return false;
  }
};

std::string Quote(std::string_view name) { return StrCat("'", Printable(name), "'"); }

Status CheckGraph(Graph* graph, const Scope* outer, int depth);

Status CheckValueInfo(const ValueInfo& info) {
  if (!info.shape) return OkStatus();
  for (const Dim& dim : *info.shape)
    if (dim.value && *dim.value < 0)
      return ModelError(
          StrCat("value ", Quote(info.name), " has a negative dimension, ", *dim.value));
  return OkStatus();
}

Status DefineOutputs(const Node& node, Scope* scope) {
  for (const std::string& output : node.outputs)
    if (!output.empty() && !scope->names.insert(output).second)
      return ModelError(StrCat("value ", Quote(output),
                               " is produced twice, the second time by "
                               "node ",
                               node.DisplayName()));
  return OkStatus();
}

Status CheckAttributes(const Node& node, const Scope& scope, int depth) {
  std::unordered_set<std::string_view> names;
  for (const Attribute& attribute : node.attributes)
    if (!names.insert(attribute.name).second)
      return ModelError(
          StrCat("node ", node.DisplayName(), " has attribute ", Quote(attribute.name), " twice"));
  Status status;
  ForEachSubgraph(node, [&](Graph& sub) {
    if (status.ok()) status = CheckGraph(&sub, &scope, depth + 1);
  });
  constexpr int kShown = 3;  // levels in the message
  if (status.ok() || depth >= kShown) return status;
  return std::move(status).At(StrCat("in node ", node.DisplayName()));
}

Status CheckNode(const Node& node, const Scope& scope, int depth) {
  if (node.op_type.empty())
    return ModelError(StrCat("node ", node.DisplayName(), " has no operator type"));
  for (const std::string& input : node.inputs)
    if (!input.empty() && !scope.Contains(input))
      return ModelError(StrCat("node ", node.DisplayName(), " reads ", Quote(input),
                               ", which nothing produces: an initializer is missing?"));
  return CheckAttributes(node, scope, depth);
}

Status DefineInputs(const Graph& graph, Scope* scope) {
  for (const ValueInfo& input : graph.inputs) {
    if (input.name.empty()) return ModelError("a graph input has no name");
    if (!scope->names.insert(input.name).second)
      return ModelError(StrCat("two graph inputs are named ", Quote(input.name)));
  }
  std::unordered_set<std::string_view> initializers;
  for (const Initializer& initializer : graph.initializers()) {
    if (initializer.name.empty()) return ModelError("an initializer has no name");
    if (!initializers.insert(initializer.name).second)
      return ModelError(StrCat("two initializers are named ", Quote(initializer.name)));
    for (const int64_t dim : initializer.value.shape())
      if (dim < 0)
        return ModelError(
            StrCat("initializer ", Quote(initializer.name), " has a negative dimension, ", dim));
    scope->names.insert(initializer.name);  // may also be an input: its default value
  }
  return OkStatus();
}

Status CheckGraph(Graph* graph, const Scope* outer, int depth) {
  if (depth > kMaxDepth)
    return ModelError(StrCat("sub-graphs are nested more than ", kMaxDepth, " levels deep"));
  Scope scope{{}, outer};
  RETURN_IF_ERROR(DefineInputs(*graph, &scope));
  for (const NodePtr& node : graph->nodes()) RETURN_IF_ERROR(DefineOutputs(*node, &scope));
  for (const auto* infos : {&graph->inputs, &graph->outputs, &graph->value_info})
    for (const ValueInfo& info : *infos) RETURN_IF_ERROR(CheckValueInfo(info));
  for (const NodePtr& node : graph->nodes()) RETURN_IF_ERROR(CheckNode(*node, scope, depth));
  for (const ValueInfo& output : graph->outputs)
    if (!scope.Contains(output.name))
      return ModelError(StrCat("nothing produces the graph output ", Quote(output.name)));
  graph->InvalidateIndex();  // a pass may have changed nodes by hand
  return graph->SortTopologically();
}

// Function bodies are plain node lists; a graph sorts them.
Status SortFunction(Function* function) {
  Graph graph;
  for (const NodePtr& node : function->nodes) graph.AddNode(std::move(*node));
  Status status = graph.SortTopologically();
  for (size_t i = 0; i < function->nodes.size(); ++i)
    *function->nodes[i] = std::move(*graph.nodes()[i]);
  return status;
}

Status CheckFunction(Function* function) {
  Scope scope;
  for (const std::string& input : function->inputs)
    if (!scope.names.insert(input).second)
      return ModelError(StrCat("two inputs are named ", Quote(input)));
  for (const NodePtr& node : function->nodes) RETURN_IF_ERROR(DefineOutputs(*node, &scope));
  for (const NodePtr& node : function->nodes) RETURN_IF_ERROR(CheckNode(*node, scope, 1));
  for (const std::string& output : function->outputs)
    if (!scope.Contains(output))
      return ModelError(StrCat("nothing produces the output ", Quote(output)));
  return SortFunction(function);
}

// Finds recursive functions, and counts nodes after inlining.
class CallGraph {
 public:
  explicit CallGraph(const Model& model) : model_(model) {
    for (const Function& function : model.functions)
      functions_.try_emplace(Key(function.domain, function.name), &function);
  }

  Status Check() {
    for (const Function& function : model_.functions)
      RETURN_IF_ERROR(Count(function.nodes, 0).status());
    return Count(model_.graph->nodes(), 0).status();
  }

 private:
  static std::string Key(const std::string& domain, const std::string& name) {
    return StrCat(domain.size(), ":", domain, name);  // unambiguous for any names
  }

  Result<int64_t> Count(const std::vector<NodePtr>& nodes, int depth) {
    int64_t total = 0;
    for (const NodePtr& node : nodes) {
      ASSIGN_OR_RETURN(const int64_t called, CountCall(*node, depth));
      total += 1 + called;
      Status status;
      ForEachSubgraph(*node, [&](Graph& sub) {
        auto inner = Count(sub.nodes(), depth);
        if (inner.ok())
          total += *inner;
        else if (status.ok())
          status = inner.status();
      });
      RETURN_IF_ERROR(std::move(status));
      if (total > kMaxInlinedNodes)
        return ModelError(
            StrCat("more than ", kMaxInlinedNodes, " nodes after inlining functions"));
    }
    return total;
  }

  Result<int64_t> CountCall(const Node& node, int depth) {
    const auto found = functions_.find(Key(node.domain, node.op_type));
    if (found == functions_.end()) return int64_t{0};
    const Function& function = *found->second;
    const auto known = counts_.find(&function);
    if (known != counts_.end() && known->second >= 0) return known->second;
    if (known != counts_.end())
      return ModelError(StrCat("function ", Quote(function.name), " calls itself"));
    if (depth >= kMaxDepth)
      return ModelError(StrCat("functions call each other more than ", kMaxDepth, " levels deep"));
    counts_[&function] = -1;  // being counted
    ASSIGN_OR_RETURN(const int64_t count, Count(function.nodes, depth + 1));
    counts_[&function] = count;
    return count;
  }

  const Model& model_;
  std::unordered_map<std::string, const Function*> functions_;
  std::unordered_map<const Function*, int64_t> counts_;
};

}  // namespace

Status CheckModel(Model* model) {
  RETURN_IF_ERROR(CheckGraph(model->graph.get(), nullptr, 0));
  for (Function& function : model->functions) {
    Status status = CheckFunction(&function);
    if (!status.ok()) return std::move(status).At(StrCat("function ", Quote(function.name)));
  }
  if (model->functions.empty()) return OkStatus();
  return CallGraph(*model).Check();
}

}  // namespace roundel::graph
