#include "lib/graph/opset.h"

#include <algorithm>

#include "lib/base/text.h"
#include "lib/graph/opset_rewriter.h"
#include "lib/graph/value_types.h"

namespace roundel::graph {
namespace {

constexpr int64_t kOldestOpset = 7;  // before it, broadcasting worked by attributes

// The IR version that came with each opset from 7 on (docs/Versioning.md of ONNX).
int64_t IrVersionFor(int64_t opset) {
  static constexpr int64_t kIrVersions[] = {3, 3, 4, 5, 6,  7,  7,  7,  8, 8,
                                            8, 8, 9, 9, 10, 10, 11, 12, 13};
  static_assert(std::size(kIrVersions) == kNewestOpset - kOldestOpset + 1);
  return kIrVersions[opset - kOldestOpset];
}

Status CheckReferences(const OpsetAdapter& adapter, const Node& node) {
  for (const std::string& name : Split(adapter.attributes, ' ')) {
    const Attribute* attribute = node.FindAttribute(name);
    if (attribute && !attribute->ref_name.empty())
      return ModelError(StrCat("its attribute '", name, "' is set by the caller of a function"));
  }
  return OkStatus();
}

Status RaiseNode(OpsetRewriter& rewriter, Node* node, int64_t version) {
  static const std::vector<OpsetAdapter>& adapters = OpsetAdapters();
  for (const OpsetAdapter& adapter : adapters) {
    if (adapter.version != version || !node->Is(adapter.op_type)) continue;
    const std::string name = node->DisplayName();
    Status status = CheckReferences(adapter, *node);
    if (status.ok()) status = adapter.adapt(rewriter, node);
    if (!status.ok())
      return std::move(status).At(
          StrCat("node ", name, " cannot be raised from opset ", version - 1, " to ", version));
    return OkStatus();  // one adapter per operator and version; the node may be gone
  }
  return OkStatus();
}

Status RaiseGraph(OpsetRewriter& rewriter, int64_t version) {
  std::vector<Node*> nodes;  // snapshot: nodes that adapters add have the new version
  for (const NodePtr& node : rewriter.graph().nodes()) nodes.push_back(node.get());
  for (Node* node : nodes) {
    Status status;
    ForEachSubgraph(*node, [&](Graph& sub) {
      OpsetRewriter inner(&sub, rewriter);
      if (status.ok()) status = RaiseGraph(inner, version);
    });
    RETURN_IF_ERROR(status);
    RETURN_IF_ERROR(RaiseNode(rewriter, node, version));
  }
  return OkStatus();
}

Status RaiseFunction(Function* function, int64_t from, int64_t to) {
  // Adapters work on graphs, so that the body temporarily becomes one.
  Model holder;
  Graph& body = *holder.graph;
  for (const std::string& input : function->inputs) body.inputs.push_back({.name = input});
  for (const std::string& output : function->outputs) body.outputs.push_back({.name = output});
  for (NodePtr& node : function->nodes) body.AddNode(std::move(*node));
  std::set<std::string> names;
  CollectNames(body, &names);
  const OpsetRewriter::Types types = InferValueTypes(holder);
  OpsetRewriter rewriter(&body, &names, types, true);
  for (int64_t version = from + 1; version <= to; ++version)
    RETURN_IF_ERROR(RaiseGraph(rewriter, version));
  function->nodes.clear();
  for (const NodePtr& node : body.nodes())
    function->nodes.push_back(std::make_unique<Node>(std::move(*node)));
  return OkStatus();
}

void FlattenSoftmaxesIn(OpsetRewriter& rewriter) {
  std::vector<Node*> nodes;
  for (const NodePtr& node : rewriter.graph().nodes()) nodes.push_back(node.get());
  for (Node* node : nodes) {
    ForEachSubgraph(*node, [&](Graph& sub) {
      OpsetRewriter inner(&sub, rewriter);
      FlattenSoftmaxesIn(inner);
    });
    if (node->Is("Softmax") || node->Is("LogSoftmax") || node->Is("Hardmax"))
      FlattenSoftmax(rewriter, node);
  }
}

Status CheckOldest(int64_t version) {
  if (version >= kOldestOpset) return OkStatus();
  return ModelError(StrCat("opset ", version, " is too old to be raised (the oldest is ",
                           kOldestOpset, "); export the model again"));
}

}  // namespace

Status RaiseOpset(Model* model, int64_t version) {
  if (version > kNewestOpset)
    return UsageError(
        StrCat("opset ", version, " is not known (the newest is ", kNewestOpset, ")"));
  Model raised = Clone(*model);
  for (Function& function : raised.functions) {
    for (auto& [domain, imported] : function.opset_imports) {
      if ((!domain.empty() && domain != "ai.onnx") || imported >= version) continue;
      RETURN_IF_ERROR(CheckOldest(imported).At("function " + function.name));
      RETURN_IF_ERROR(RaiseFunction(&function, imported, version).At("function " + function.name));
      imported = version;
    }
  }
  const auto& nodes = raised.graph->nodes();
  const bool has_default_ops = std::any_of(
      nodes.begin(), nodes.end(), [](const NodePtr& node) { return node->domain.empty(); });
  const int64_t from = raised.Opset();
  if (from == 0 && !has_default_ops) {
    raised.SetOpset("", version);
  } else if (from < version) {
    RETURN_IF_ERROR(CheckOldest(from));
    std::set<std::string> names;
    CollectNames(*raised.graph, &names);
    const OpsetRewriter::Types types = InferValueTypes(raised);
    OpsetRewriter rewriter(raised.graph.get(), &names, types, false);
    for (int64_t next = from + 1; next <= version; ++next)
      RETURN_IF_ERROR(RaiseGraph(rewriter, next));
    raised.SetOpset("", version);
    raised.ir_version = std::max(raised.ir_version, IrVersionFor(version));
  }
  *model = std::move(raised);
  return OkStatus();
}

void FlattenSoftmaxes(Model* model) {
  if (model->Opset() == 0 || model->Opset() >= 13) return;
  std::set<std::string> names;
  CollectNames(*model->graph, &names);
  const OpsetRewriter::Types types;  // not needed for Softmax
  OpsetRewriter rewriter(model->graph.get(), &names, types, false);
  FlattenSoftmaxesIn(rewriter);
}

std::vector<std::string> MakeInitializersConstant(Model* model) {
  Graph& graph = *model->graph;
  std::vector<std::string> names;
  std::erase_if(graph.inputs, [&](const ValueInfo& input) {
    if (!graph.FindInitializer(input.name)) return false;
    names.push_back(input.name);
    return true;
  });
  graph.InvalidateIndex();
  if (model->ir_version >= 4) return names;
  model->ir_version = 4;
  return {};
}

}  // namespace roundel::graph
