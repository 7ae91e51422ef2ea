#include "lib/engine/fold_constants.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "lib/base/text.h"
#include "lib/engine/plain_run.h"
#include "lib/graph/constant_nodes.h"
#include "lib/graph/quantization_ops.h"
#include "lib/graph/text.h"

namespace roundel::engine {
namespace {

using graph::Graph;
using graph::Node;

// A result may be larger than the initializers that it is computed from by this factor; small
// results are always folded.
constexpr int64_t kMaxGrowth = 4;
constexpr int64_t kSmall = 1 << 14;

struct Known {
  Tensor value;
  int64_t source = 0;  // elements of the initializers that it is computed from
};

// The names visible in a graph; a value that is not constant hides a constant of the same name in
// an outer graph.
struct Scope {
  Graph* graph = nullptr;
  Scope* outer = nullptr;
  int depth = 0;
  std::unordered_map<std::string, std::optional<Known>> values = {};
  // The names of the results, by a key for what a node computes.
  std::map<std::string, std::vector<std::string>> results = {};
  std::set<const Node*> gone = {};
  bool changed = false;
};

// A constant and the graph that holds it; nullptr for an absent input.
struct Input {
  const Known* known = nullptr;
  Scope* owner = nullptr;
};

// The constant with that name; nullopt if it is not a constant.
std::optional<Input> FindConstant(Scope* scope, const std::string& name) {
  if (name.empty()) return Input();
  for (; scope; scope = scope->outer) {
    const auto found = scope->values.find(name);
    if (found == scope->values.end()) continue;
    if (!found->second) return std::nullopt;
    return Input{&*found->second, scope};
  }
  return std::nullopt;
}

bool MayFold(const Node& node) {
  static const std::set<std::string> kRandom = {"Bernoulli",     "Multinomial",
                                                "RandomNormal",  "RandomNormalLike",
                                                "RandomUniform", "RandomUniformLike"};
  bool has_subgraphs = false;
  graph::ForEachSubgraph(node, [&](Graph&) { has_subgraphs = true; });
  return node.domain.empty() && !has_subgraphs && !graph::IsQuantizationOp(node) &&
         !kRandom.contains(node.op_type) && !(node.Is("Dropout") && node.inputs.size() > 2);
}

class Folder {
 public:
  explicit Folder(graph::Model* model) : model_(*model) {
    graph::CollectNames(*model_.graph, &names_);
  }

  Status Run(Graph* graph, Scope* outer) {
    Scope scope{.graph = graph, .outer = outer, .depth = outer ? outer->depth + 1 : 0};
    for (const graph::ValueInfo& input : graph->inputs) scope.values[input.name] = std::nullopt;
    for (const graph::Initializer& initializer : graph->initializers())
      if (!graph->IsInput(initializer.name))
        scope.values[initializer.name] = Known{initializer.value, initializer.value.size()};
    std::vector<Node*> nodes;
    for (const graph::NodePtr& node : graph->nodes()) nodes.push_back(node.get());
    for (Node* node : nodes) {
      Status status;
      graph::ForEachSubgraph(*node, [&](Graph& sub) {
        if (status.ok()) status = Run(&sub, &scope);
      });
      RETURN_IF_ERROR(std::move(status));
      ASSIGN_OR_RETURN(const bool folded, Fold(node, &scope));
      if (folded)
        scope.gone.insert(node);
      else
        Hide(*node, &scope);
    }
    if (!scope.gone.empty() || scope.changed) Remove(scope);
    count_ += std::ssize(scope.gone);
    return OkStatus();
  }

  int64_t count() const { return count_; }

 private:
  // The results of the node become initializers of the graph that holds its inputs; nodes that
  // compute the same share them. False: the node is kept.
  Result<bool> Fold(Node* node, Scope* scope) {
    std::vector<Input> inputs;
    if (!AllConstant(*node, scope, &inputs)) return false;
    if (node->Is("Identity")) {
      Rename(node->output(0), node->input(0), scope);
      return true;
    }
    int64_t source = 0;
    std::set<const Known*> distinct;
    Scope* owner = nullptr;
    for (const Input& input : inputs) {
      if (!input.known) continue;
      if (distinct.insert(input.known).second) source += input.known->source;
      if (!owner || input.owner->depth > owner->depth) owner = input.owner;
    }
    const std::string key = KeyOf(*node);
    auto made = owner->results.find(key);
    if (made == owner->results.end()) {
      ASSIGN_OR_RETURN(std::vector<Datum> outputs, Compute(*node, inputs, source));
      if (outputs.empty()) return false;
      made = owner->results.emplace(key, Add(*node, owner == scope, outputs, source, owner)).first;
    }
    for (size_t i = 0; i < node->outputs.size(); ++i)
      if (!node->outputs[i].empty()) Rename(node->outputs[i], made->second[i], scope);
    return true;
  }

  // The names of the results.
  std::vector<std::string> Add(const Node& node, bool here, const std::vector<Datum>& outputs,
                               int64_t source, Scope* owner) {
    std::vector<std::string> results = node.outputs;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (results[i].empty()) continue;
      if (!here) results[i] = graph::UniqueName(results[i], &names_);
      owner->graph->AddInitializer({.name = results[i], .value = outputs[i].tensor});
      owner->values[results[i]] = Known{outputs[i].tensor, source};
    }
    owner->changed = true;
    return results;
  }

  // The key of a node: equal for nodes with the same results.
  static std::string KeyOf(const Node& node) {
    Node bare = node;
    bare.name.clear();
    for (std::string& output : bare.outputs) output = output.empty() ? "" : "y";
    return graph::Print(bare);
  }

  bool AllConstant(const Node& node, Scope* scope, std::vector<Input>* inputs) const {
    if (!MayFold(node) || node.inputs.empty() || model_.FindFunction(node.domain, node.op_type))
      return false;
    bool any = false;
    for (const std::string& name : node.inputs) {
      const std::optional<Input> input = FindConstant(scope, name);
      if (!input || (input->known && input->known->value.dtype() == DType::kString)) return false;
      any = any || input->known;
      inputs->push_back(*input);
    }
    return any && std::none_of(node.outputs.begin(), node.outputs.end(),
                               [&](const auto& output) { return scope->graph->IsOutput(output); });
  }

  // The results of the node are not constants, unless it is a Constant node that makes an output.
  static void Hide(const Node& node, Scope* scope) {
    std::optional<Tensor> value = graph::ConstantNodeValue(node);
    for (const std::string& output : node.outputs) scope->values[output] = std::nullopt;
    if (value) scope->values[node.output(0)] = Known{*value, value->size()};
  }

  // Replaces `from` by the constant `to` in all readers.
  static void Rename(const std::string& from, const std::string& to, Scope* scope) {
    if (from.empty() || from == to) return;
    scope->graph->ReplaceUses(from, to);
    scope->values[from] = *FindConstant(scope, to)->known;
  }

  // Empty if the node cannot be run, or if its results are too large or not tensors.
  Result<std::vector<Datum>> Compute(const Node& node, const std::vector<Input>& inputs,
                                     int64_t source) const {
    PlanNode plan{.node = node, .opset = model_.Opset()};
    plan.op = FindOp(node.domain, node.op_type, plan.opset);
    if (!plan.op || plan.op->any_kind) return std::vector<Datum>();
    for (const std::string& output : node.outputs)
      plan.outputs.push_back(output.empty() ? kNoSlot : 0);
    std::vector<PlainInput> values;
    for (const Input& input : inputs)
      values.emplace_back(input.known ? &input.known->value : nullptr);
    const auto fits = [&](int64_t elements) {
      return elements <= std::max(kSmall, kMaxGrowth * source);
    };
    const auto allocate = [&](DType type, const Shape& shape) -> Result<Tensor> {
      if (!fits(NumElements(shape))) return ModelError("too large to fold");
      return Tensor::Empty(type, shape);
    };
    std::vector<Datum> outputs;
    const Status status = RunPlain(plan, values, allocate, &outputs);
    if (status.kind() == ErrorKind::kInterrupted) return status;
    if (!status.ok()) return std::vector<Datum>();
    for (size_t i = 0; i < outputs.size(); ++i)
      if (plan.outputs[i] != kNoSlot &&
          (!outputs[i].is_tensor() || !fits(outputs[i].tensor.size())))
        return std::vector<Datum>();
    return outputs;
  }

  static void Remove(const Scope& scope) {
    std::set<std::string> values;
    for (const Node* node : scope.gone) values.insert(node->outputs.begin(), node->outputs.end());
    std::erase_if(scope.graph->value_info,
                  [&](const graph::ValueInfo& info) { return values.contains(info.name); });
    scope.graph->RemoveNodes([&](const Node& node) { return scope.gone.contains(&node); });
    scope.graph->RemoveUnusedInitializers();
  }

  const graph::Model& model_;
  std::set<std::string> names_;
  int64_t count_ = 0;
};

}  // namespace

Result<int64_t> FoldConstants(graph::Model* model) {
  Folder folder(model);
  RETURN_IF_ERROR(folder.Run(model->graph.get(), nullptr));
  return folder.count();
}

}  // namespace roundel::engine
