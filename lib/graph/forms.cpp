#include "lib/graph/forms.h"

#include <algorithm>
#include <string_view>

#include "lib/base/text.h"

namespace roundel::graph {
namespace {

// Before opset `since` the operator takes at most `inputs` inputs and has the attributes; from then
// on it has inputs instead (onnx/docs/Changelog.md).
struct Form {
  std::string_view op;
  int64_t since;
  size_t inputs;
  std::string_view attributes[3];
};
constexpr Form kForms[] = {
    {"Clip", 11, 1, {"min", "max"}},
    {"Dropout", 12, 1, {"ratio"}},
    {"Pad", 11, 1, {"pads", "value"}},
    {"Reshape", 5, 1, {"shape"}},
    {"Resize", 11, 2, {}},
    {"Slice", 10, 1, {"starts", "ends", "axes"}},
    {"Split", 13, 1, {"split"}},
    {"Squeeze", 13, 1, {"axes"}},
    {"TopK", 10, 1, {"k"}},
    {"Unsqueeze", 13, 1, {"axes"}},
    {"Upsample", 9, 1, {"scales"}},
    {"ReduceSum", 13, 1, {"axes"}},
    {"ReduceL1", 18, 1, {"axes"}},
    {"ReduceL2", 18, 1, {"axes"}},
    {"ReduceLogSum", 18, 1, {"axes"}},
    {"ReduceLogSumExp", 18, 1, {"axes"}},
    {"ReduceMax", 18, 1, {"axes"}},
    {"ReduceMean", 18, 1, {"axes"}},
    {"ReduceMin", 18, 1, {"axes"}},
    {"ReduceProd", 18, 1, {"axes"}},
    {"ReduceSumSquare", 18, 1, {"axes"}},
};

Status CheckForm(const Node& node, const Form& form, int64_t opset) {
  // Split took its lengths as an input at opset 1, too.
  const bool ancient_split = form.op == "Split" && opset < 2;
  if (opset < form.since && node.inputs.size() > form.inputs && !ancient_split)
    return ModelError(StrCat(
        "node ", node.DisplayName(), " has ", node.inputs.size(), " inputs; at opset ", opset, " ",
        form.op, " takes ", form.inputs, form.inputs == 1 ? " and attributes" : "",
        ": the model is invalid, export it again for opset ", form.since, " or newer"));
  if (opset < form.since) return OkStatus();
  for (const std::string_view name : form.attributes)
    if (!name.empty() && node.FindAttribute(std::string(name)) != nullptr)
      return ModelError(StrCat("node ", node.DisplayName(), " has the attribute '", name,
                               "', which is an input of ", form.op, " since opset ", form.since,
                               " (the model has ", opset,
                               "): the model is invalid, export it again"));
  return OkStatus();
}

Status CheckNodes(const std::vector<NodePtr>& nodes, int64_t opset) {
  for (const NodePtr& node : nodes) {
    if (node->domain.empty())
      for (const Form& form : kForms)
        if (node->op_type == form.op) RETURN_IF_ERROR(CheckForm(*node, form, opset));
    Status status;
    ForEachSubgraph(*node, [&](Graph& sub) {
      if (status.ok()) status = CheckNodes(sub.nodes(), opset);
    });
    RETURN_IF_ERROR(std::move(status));
  }
  return OkStatus();
}

}  // namespace

Status CheckForms(const Model& model) {
  for (const Function& function : model.functions) {
    int64_t opset = model.Opset();
    for (const auto& [domain, version] : function.opset_imports)
      if (domain.empty() || domain == "ai.onnx") opset = version;
    RETURN_IF_ERROR(
        CheckNodes(function.nodes, opset).At(StrCat("function '", Printable(function.name), "'")));
  }
  return CheckNodes(model.graph->nodes(), model.Opset());
}

}  // namespace roundel::graph
