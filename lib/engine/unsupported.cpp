// Lists the nodes of a model that no kernel can run.

#include "lib/base/text.h"
#include "lib/engine/plan_builder.h"

namespace roundel::engine {

std::string DescribeNode(const graph::Node& node, int64_t opset) {
  return StrCat(
      node.op_type, " (", node.domain.empty() ? "ai.onnx" : node.domain, ", opset ", opset,
      "), node ",
      node.name.empty() ? StrCat("producing '", node.output(0), "'") : StrCat("'", node.name, "'"));
}

namespace {

Status AddUnsupported(const graph::Model& model, const graph::Graph& graph,
                      const graph::Function* function, UnfoldBudget* budget,
                      std::vector<std::string>* lines) {
  if (budget->depth == 0) return ModelError("sub-graphs are nested too deeply");
  --budget->depth;
  ASSIGN_OR_RETURN(const std::vector<FlatNode> nodes, Flatten(model, graph, function, budget));
  for (const FlatNode& flat : nodes) {
    if (!FindOp(flat.node.domain, flat.node.op_type, flat.opset))
      lines->push_back(DescribeNode(flat.node, flat.opset));
    Status status;
    graph::ForEachSubgraph(flat.node, [&](graph::Graph& sub) {
      if (status.ok()) status = AddUnsupported(model, sub, flat.function, budget, lines);
    });
    RETURN_IF_ERROR(std::move(status));
  }
  ++budget->depth;
  return OkStatus();
}

}  // namespace

std::vector<std::string> UnsupportedNodes(const graph::Model& model) {
  UnfoldBudget budget;
  std::vector<std::string> lines;
  const Status status = AddUnsupported(model, *model.graph, nullptr, &budget, &lines);
  if (!status.ok()) return {status.message()};
  return lines;
}

}  // namespace roundel::engine
