// Control flow: sub-graphs become separate plans, which receive values from the enclosing graphs by
// slot, or as constants. An If with a constant condition is replaced by the branch that it takes.

#include <unordered_set>
#include <utility>

#include "lib/base/text.h"
#include "lib/engine/plan_builder.h"
#include "lib/engine/plan_runner.h"

namespace roundel::engine {
namespace {

// One level of nesting, during its lifetime.
class Level {
 public:
  explicit Level(UnfoldBudget* budget) : budget_(*budget) { --budget_.depth; }
  ~Level() { ++budget_.depth; }
  Status status() const {
    return budget_.depth >= 0 ? OkStatus() : ModelError("sub-graphs are nested too deeply");
  }

 private:
  UnfoldBudget& budget_;
};

// The parts of a sub-graph that kernels may query; its nodes and weights are in the plan.
graph::GraphPtr Signature(const graph::Graph& graph) {
  auto signature = std::make_shared<graph::Graph>();
  signature->name = graph.name;
  signature->inputs = graph.inputs;
  signature->outputs = graph.outputs;
  return signature;
}

// Values that the sub-graph computes, at any depth.
void CollectMade(const graph::Graph& graph, std::unordered_set<std::string>* made) {
  for (const graph::ValueInfo& input : graph.inputs) made->insert(input.name);
  for (const graph::NodePtr& node : graph.nodes()) {
    made->insert(node->outputs.begin(), node->outputs.end());
    graph::ForEachSubgraph(*node, [&](graph::Graph& sub) { CollectMade(sub, made); });
  }
}

}  // namespace

std::unordered_set<std::string> PlanBuilder::MadeInside() const {
  std::unordered_set<std::string> made;
  for (const FlatNode& flat : flat_)
    graph::ForEachSubgraph(flat.node, [&](graph::Graph& sub) { CollectMade(sub, &made); });
  return made;
}

Status PlanBuilder::AddControlNode(const FlatNode& flat, PlanNode node) {
  if (const std::optional<bool> condition = KnownCondition(node))
    return InlineBranch(flat, *condition);
  for (graph::Attribute& attribute : node.node.attributes) {
    auto* graph = std::get_if<graph::GraphPtr>(&attribute.value);
    if (!graph || !node.op->any_kind) continue;
    RETURN_IF_ERROR(CompileSubgraph(flat, attribute.name, **graph, &node));
    *graph = Signature(**graph);
  }
  for (const std::string& output : node.node.outputs)
    node.outputs.push_back(Wanted(output) ? NewSlot(output) : kNoSlot);
  plan_.nodes.push_back(std::move(node));
  return OkStatus();
}

Status PlanBuilder::CompileSubgraph(const FlatNode& flat, const std::string& attribute,
                                    const graph::Graph& graph, PlanNode* node) {
  const Level level(&budget_);
  RETURN_IF_ERROR(level.status());
  PlanSource source{source_.model, graph, flat.function};
  for (size_t i = 0; i < flat.captured.size(); ++i) {
    const Slot& outer = plan_.slots[plan_.slot_of.at(flat.node.inputs[flat.own_inputs() + i])];
    source.captured.push_back({flat.captured[i], outer.constant, outer.constant_encoding});
  }
  ExecutorOptions options = {.tapped_values = options_.tapped_values,
                             .simulate = options_.simulate,
                             .fast_kernels = options_.fast_kernels};
  std::unordered_set<std::string> made;
  if (!options.tapped_values.empty()) CollectMade(graph, &made);
  std::erase_if(options.tapped_values,
                [&](const std::string& name) { return !made.contains(name); });
  ASSIGN_OR_RETURN(Plan plan, PlanBuilder(std::move(source), options, &budget_).Build());
  Subgraph subgraph{.attribute = attribute};
  const size_t own = flat.own_inputs();
  for (size_t i = 0, next = 0; next < plan.captured.size(); ++i) {
    if (flat.captured[i] != plan.captured[next]) continue;
    ++next;
    const int slot = plan_.slot_of.at(flat.node.inputs[own + i]);
    subgraph.captured.push_back(node->inputs.size());
    node->inputs.push_back(slot);
    ++node->captured;
  }
  subgraph.runner = std::make_shared<PlanRunner>(std::move(plan));
  node->subgraphs.push_back(std::move(subgraph));
  return OkStatus();
}

std::optional<bool> PlanBuilder::KnownCondition(const PlanNode& node) const {
  if (!node.node.Is("If") || node.inputs.size() != 1 || node.inputs[0] == kNoSlot) return {};
  const std::optional<Tensor>& condition = plan_.slots[node.inputs[0]].constant;
  if (!condition || condition->dtype() != DType::kBool || condition->size() != 1) return {};
  return condition->ToInt64s()[0] != 0;
}

Status PlanBuilder::InlineBranch(const FlatNode& flat, bool condition) {
  const Level level(&budget_);
  RETURN_IF_ERROR(level.status());
  const char* name = condition ? "then_branch" : "else_branch";
  const graph::Attribute* attribute = flat.node.FindAttribute(name);
  const auto* branch = attribute ? std::get_if<graph::GraphPtr>(&attribute->value) : nullptr;
  Status status;
  if (!branch)
    status = ModelError(StrCat("there is no sub-graph '", name, "'"));
  else if ((*branch)->outputs.size() != flat.node.outputs.size())
    status = ModelError(StrCat("'", name, "' gives ", (*branch)->outputs.size(), " outputs, not ",
                               flat.node.outputs.size()));
  if (!status.ok()) return std::move(status).At(StrCat("node ", flat.node.DisplayName()));
  ++branches_;
  return AddBranch(**branch, flat);
}

// The nodes of the branch under new names, then one Identity for each result.
Status PlanBuilder::AddBranch(const graph::Graph& branch, const FlatNode& flat) {
  ASSIGN_OR_RETURN(std::vector<FlatNode> nodes,
                   Flatten(source_.model, branch, flat.function, &budget_));
  std::unordered_map<std::string, std::string> names;
  RETURN_IF_ERROR(Rename(flat, branch, &names, &nodes));
  for (size_t i = 0; i < branch.outputs.size(); ++i) {
    if (!Wanted(flat.node.outputs[i])) continue;
    const auto from = names.find(branch.outputs[i].name);
    if (from == names.end())
      return ModelError(StrCat("nothing produces the sub-graph output '", branch.outputs[i].name,
                               "' of node ", flat.node.DisplayName()));
    graph::Node identity{.name = flat.node.name, .op_type = "Identity"};
    identity.inputs = {from->second};
    identity.outputs = {flat.node.outputs[i]};
    nodes.push_back({.node = std::move(identity), .opset = flat.opset});
  }
  ASSIGN_OR_RETURN(const auto producers, Producers(nodes));
  ASSIGN_OR_RETURN(const NodeOrder order, OrderNodes(nodes, producers, flat.node.outputs));
  for (const auto& [name, count] : order.uses) uses_[name] += count;
  for (const graph::Initializer& initializer : branch.initializers())
    if (Wanted(names.at(initializer.name)))
      RETURN_IF_ERROR(NewConstant(names.at(initializer.name), initializer.value));
  for (size_t i : order.nodes) {
    for (const std::string& input : nodes[i].node.inputs)
      if (!input.empty() && !producers.contains(input) && !plan_.slot_of.contains(input))
        return ModelError(StrCat("node ", nodes[i].node.DisplayName(), " reads '", input,
                                 "', which nothing produces"));
    if (!FindOp(nodes[i].node.domain, nodes[i].node.op_type, nodes[i].opset))
      return ModelError(
          StrCat("operator not supported: ", DescribeNode(nodes[i].node, nodes[i].opset)));
    RETURN_IF_ERROR(AddNode(nodes[i]));
  }
  return OkStatus();
}

// Captured values get their names in this graph, all others new ones.
Status PlanBuilder::Rename(const FlatNode& flat, const graph::Graph& branch,
                           std::unordered_map<std::string, std::string>* names,
                           std::vector<FlatNode>* nodes) {
  for (size_t i = 0; i < flat.captured.size(); ++i)
    (*names)[flat.captured[i]] = flat.node.inputs[flat.own_inputs() + i];
  const std::string prefix = StrCat(flat.node.output(0), "#", branches_, "/");
  Status status;
  const auto define = [&](const std::string& name) {
    // Keeps the original name if it is not taken, so that encodings and taps find it.
    const bool taken = producer_.contains(name) || IsSource(name) || plan_.slot_of.contains(name);
    const std::string made = taken ? prefix + name : name;
    if (producer_.contains(made) || IsSource(made) || plan_.slot_of.contains(made))
      status = ModelError(StrCat("value '", made, "' is produced twice"));
    (*names)[name] = made;
  };
  for (const graph::Initializer& initializer : branch.initializers()) define(initializer.name);
  for (const FlatNode& inner : *nodes)
    for (const std::string& output : inner.node.outputs)
      if (!output.empty()) define(output);
  RETURN_IF_ERROR(std::move(status));
  for (FlatNode& inner : *nodes) {
    for (auto* list : {&inner.node.inputs, &inner.node.outputs})
      for (std::string& name : *list)
        if (const auto it = names->find(name); it != names->end()) name = it->second;
    if (!inner.node.name.empty()) inner.node.name = StrCat(flat.node.name, "/", inner.node.name);
  }
  return OkStatus();
}

}  // namespace roundel::engine
