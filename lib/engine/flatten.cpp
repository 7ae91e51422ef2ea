#include "lib/engine/flatten.h"

#include <unordered_set>
#include <utility>

#include "lib/base/text.h"
#include "lib/graph/inline.h"

namespace roundel::engine {
namespace {

constexpr int kMaxCallDepth = 32;

class Flattener {
 public:
  Flattener(const graph::Model& model, UnfoldBudget* budget) : model_(model), budget_(*budget) {}

  Status AppendNode(const graph::Node& node, const graph::Function* function) {
    FlatNode flat{.node = node, .captured = graph::OuterReads(node), .function = function};
    flat.node.inputs.insert(flat.node.inputs.end(), flat.captured.begin(), flat.captured.end());
    return Append(std::move(flat), 0);
  }
  std::vector<FlatNode> Take() { return std::move(flat_); }

 private:
  Status CountNode() {
    if (--budget_.nodes >= 0) return OkStatus();
    return ModelError("inlining functions gives too many nodes: do functions call each other?");
  }

  Status Append(FlatNode flat, int depth) {
    const graph::Function* called = model_.FindFunction(flat.node.domain, flat.node.op_type);
    if (!called) {
      flat.opset = OpsetOf(flat.node.domain, flat.function);
      flat_.push_back(std::move(flat));
      return CountNode();
    }
    if (depth >= kMaxCallDepth)
      return ModelError(StrCat("function ", called->name, " calls itself, or functions are nested ",
                               kMaxCallDepth, " deep"));
    return Inline(flat, *called, depth);
  }

  Status Inline(const FlatNode& flat, const graph::Function& function, int depth) {
    graph::Node call = flat.node;
    call.inputs.resize(flat.own_inputs());
    const std::string prefix =
        StrCat(call.name.empty() ? call.op_type : call.name, "#", ++calls_, "/");
    ASSIGN_OR_RETURN(
        std::vector<graph::Node> body,
        graph::ExpandCall(call, function, [&](const std::string& name) { return prefix + name; }));
    for (graph::Node& node : body) {
      RETURN_IF_ERROR(CountNode());
      FlatNode inner{.node = std::move(node), .captured = {}, .function = &function};
      inner.captured = graph::OuterReads(inner.node);
      inner.node.inputs.insert(inner.node.inputs.end(), inner.captured.begin(),
                               inner.captured.end());
      RETURN_IF_ERROR(Append(std::move(inner), depth + 1));
    }
    return OkStatus();
  }

  int64_t OpsetOf(const std::string& domain, const graph::Function* function) const {
    if (function)
      for (const auto& [name, version] : function->opset_imports)
        if (name == domain || (domain.empty() && name == "ai.onnx")) return version;
    return model_.Opset(domain);
  }

  const graph::Model& model_;
  UnfoldBudget& budget_;
  std::vector<FlatNode> flat_;
  int64_t calls_ = 0;
};

}  // namespace

Result<std::vector<FlatNode>> Flatten(const graph::Model& model, const graph::Graph& graph,
                                      const graph::Function* function, UnfoldBudget* budget) {
  Flattener flattener(model, budget);
  for (const graph::NodePtr& node : graph.nodes())
    RETURN_IF_ERROR(flattener.AppendNode(*node, function));
  return flattener.Take();
}

Result<std::vector<FlatNode>> Flatten(const graph::Model& model) {
  UnfoldBudget budget;
  return Flatten(model, *model.graph, nullptr, &budget);
}

ConstantsByName ConstantsOf(const graph::Graph& graph, const std::vector<FlatNode>& nodes) {
  // Without the graph's index, which is built on demand: several threads may compile one model.
  std::unordered_set<std::string> inputs;
  for (const graph::ValueInfo& input : graph.inputs) inputs.insert(input.name);
  ConstantsByName constants;
  for (const graph::Initializer& initializer : graph.initializers())
    if (!inputs.contains(initializer.name)) constants[initializer.name] = &initializer.value;
  for (const FlatNode& flat : nodes)
    if (flat.node.Is("Constant") && flat.node.TensorAttribute("value"))
      constants[flat.node.output(0)] = flat.node.TensorAttribute("value");
  return constants;
}

}  // namespace roundel::engine
