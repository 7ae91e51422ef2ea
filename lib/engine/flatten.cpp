#include "lib/engine/flatten.h"

#include <unordered_map>
#include <utility>

#include "lib/base/text.h"

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
  Status Spend() {
    if (--budget_.nodes >= 0) return OkStatus();
    return ModelError("the model unfolds to too many nodes: functions that call functions?");
  }

  Status Append(FlatNode flat, int depth) {
    const graph::Function* called = model_.FindFunction(flat.node.domain, flat.node.op_type);
    if (!called) {
      flat.opset = OpsetOf(flat.node.domain, flat.function);
      flat_.push_back(std::move(flat));
      return Spend();
    }
    if (depth >= kMaxCallDepth)
      return ModelError(StrCat("function ", called->name, " calls itself, or functions are nested ",
                               kMaxCallDepth, " deep"));
    return Inline(flat, *called, depth);
  }

  Status Inline(const FlatNode& flat_call, const graph::Function& function, int depth) {
    const graph::Node& call = flat_call.node;
    std::unordered_map<std::string, std::string> names = {{"", ""}};
    for (size_t i = 0; i < function.inputs.size(); ++i)
      names[function.inputs[i]] = i < flat_call.own_inputs() ? call.input(i) : "";
    for (size_t i = 0; i < function.outputs.size(); ++i)
      if (!call.output(i).empty()) names[function.outputs[i]] = call.output(i);
    const std::string prefix =
        StrCat(call.name.empty() ? call.op_type : call.name, "#", ++calls_, "/");
    const auto renamed = [&](const std::string& name) -> const std::string& {
      return names.try_emplace(name, prefix + name).first->second;
    };
    for (const graph::NodePtr& inner : function.nodes) {
      FlatNode flat{.node = *inner, .captured = {}, .function = &function};
      graph::Node& copy = flat.node;
      Status bound = BindAttributes(call, &copy);
      if (!bound.ok()) return std::move(bound).At(StrCat("function ", function.name));
      // Inside of sub-graphs the function's names stay: only where they come from is renamed.
      flat.captured = graph::OuterReads(copy);
      copy.inputs.insert(copy.inputs.end(), flat.captured.begin(), flat.captured.end());
      for (std::string& input : copy.inputs) input = renamed(input);
      for (std::string& output : copy.outputs) output = renamed(output);
      copy.name = prefix + copy.name;
      RETURN_IF_ERROR(Append(std::move(flat), depth + 1));
    }
    return OkStatus();
  }

  // Attributes that refer to the function's take their values from the call; absent ones vanish.
  Status BindAttributes(const graph::Node& call, graph::Node* node) {
    RETURN_IF_ERROR(Spend());
    std::vector<graph::Attribute> bound;
    for (graph::Attribute& attribute : node->attributes) {
      if (attribute.ref_name.empty()) {
        RETURN_IF_ERROR(BindSubgraphs(call, &attribute));
        bound.push_back(std::move(attribute));
      } else if (const graph::Attribute* given = call.FindAttribute(attribute.ref_name)) {
        if (std::holds_alternative<graph::GraphPtr>(given->value))
          return ModelError(StrCat("attribute ", given->name,
                                   " hands a sub-graph to a function, which is not supported"));
        bound.push_back(*given);
        bound.back().name = attribute.name;
      }
    }
    node->attributes = std::move(bound);
    return OkStatus();
  }

  // Sub-graphs are shared between the copies of a node: each call binds a copy of its own.
  Status BindSubgraphs(const graph::Node& call, graph::Attribute* attribute) {
    auto* shared = std::get_if<graph::GraphPtr>(&attribute->value);
    if (!shared) return OkStatus();
    *shared = graph::Clone(**shared);
    for (const graph::NodePtr& node : (*shared)->nodes())
      RETURN_IF_ERROR(BindAttributes(call, node.get()));
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

}  // namespace roundel::engine
