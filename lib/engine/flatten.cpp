// Local functions (FunctionProto) are replaced by their bodies, so that the rest of the engine sees
// operators only.

#include <unordered_map>
#include <utility>

#include "lib/base/text.h"
#include "lib/engine/plan.h"

namespace roundel::engine {
namespace {

// Functions call functions; a hostile file makes that exponential.
constexpr int kMaxDepth = 32;
constexpr size_t kMaxNodes = 1 << 20;

class Flattener {
 public:
  explicit Flattener(const graph::Model& model) : model_(model) {}

  Status Append(const graph::Node& node, int64_t opset, int depth) {
    const graph::Function* function = model_.FindFunction(node.domain, node.op_type);
    if (!function) {
      flat_.push_back({node, opset});
      if (flat_.size() > kMaxNodes)
        return ModelError(StrCat("the model unfolds to more than ", kMaxNodes, " nodes"));
      return OkStatus();
    }
    if (depth >= kMaxDepth)
      return ModelError(StrCat("function ", function->name,
                               " calls itself, or functions are nested ", kMaxDepth, " deep"));
    return Inline(node, *function, depth);
  }
  std::vector<FlatNode> Take() { return std::move(flat_); }

 private:
  Status Inline(const graph::Node& call, const graph::Function& function, int depth) {
    std::unordered_map<std::string, std::string> names = {{"", ""}};
    for (size_t i = 0; i < function.inputs.size(); ++i) names[function.inputs[i]] = call.input(i);
    for (size_t i = 0; i < function.outputs.size(); ++i)
      if (!call.output(i).empty()) names[function.outputs[i]] = call.output(i);
    const std::string prefix =
        StrCat(call.name.empty() ? call.op_type : call.name, "#", ++calls_, "/");
    const auto renamed = [&](const std::string& name) -> const std::string& {
      return names.try_emplace(name, prefix + name).first->second;
    };
    for (const graph::NodePtr& inner : function.nodes) {
      graph::Node copy = *inner;
      for (const graph::Attribute& attribute : copy.attributes)
        if (std::holds_alternative<graph::GraphPtr>(attribute.value))
          return ModelError(StrCat("function ", function.name, ": node ", inner->DisplayName(),
                                   " has a sub-graph, which is not supported inside functions"));
      for (std::string& input : copy.inputs) input = renamed(input);
      for (std::string& output : copy.outputs) output = renamed(output);
      copy.name = prefix + copy.name;
      BindAttributes(call, &copy);
      RETURN_IF_ERROR(Append(copy, FunctionOpset(function, copy.domain), depth + 1));
    }
    return OkStatus();
  }

  // Attributes that refer to the function's take their values from the call; absent ones vanish.
  static void BindAttributes(const graph::Node& call, graph::Node* node) {
    std::vector<graph::Attribute> bound;
    for (graph::Attribute& attribute : node->attributes) {
      if (attribute.ref_name.empty()) {
        bound.push_back(std::move(attribute));
      } else if (const graph::Attribute* given = call.FindAttribute(attribute.ref_name)) {
        bound.push_back(*given);
        bound.back().name = attribute.name;
      }
    }
    node->attributes = std::move(bound);
  }

  int64_t FunctionOpset(const graph::Function& function, const std::string& domain) const {
    for (const auto& [name, version] : function.opset_imports)
      if (name == domain || (domain.empty() && name == "ai.onnx")) return version;
    return model_.Opset(domain);
  }

  const graph::Model& model_;
  std::vector<FlatNode> flat_;
  int64_t calls_ = 0;
};

}  // namespace

Result<std::vector<FlatNode>> Flatten(const graph::Model& model) {
  Flattener flattener(model);
  for (const graph::NodePtr& node : model.graph->nodes())
    RETURN_IF_ERROR(flattener.Append(*node, model.Opset(node->domain), 0));
  return flattener.Take();
}

}  // namespace roundel::engine
