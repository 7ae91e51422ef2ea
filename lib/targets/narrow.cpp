#include "lib/targets/narrow.h"

#include <algorithm>

#include "lib/graph/opset.h"
#include "lib/graph/value_types.h"
#include "lib/targets/narrow_graph.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Model;

constexpr int64_t kHalfScales = 19;  // opset of QuantizeLinear with scales of 16 bits

// Whether a quantizer has a type that it supports only since opset 19.
bool HasHalfQuantizers(const Graph& g, const NodeTypes& nodes) {
  return std::any_of(g.nodes().begin(), g.nodes().end(), [&](const graph::NodePtr& node) {
    return (IsQuantizeNode(*node) || IsDequantizeNode(*node)) && nodes.Of(*node) != DType::kFloat;
  });
}

void RaiseForScales(const FloatTypes& types, const NarrowOptions& options, Model* model) {
  if (model->Opset() >= kHalfScales || (options.max_opset > 0 && options.max_opset < kHalfScales))
    return;
  const NodeTypes::Types now = graph::InferValueTypes(*model);
  const NodeTypes nodes(*model->graph, false, types, now, options, kHalfScales);
  // If the opset cannot be raised, quantizers and their readers compute in float32.
  if (HasHalfQuantizers(*model->graph, nodes)) (void)graph::RaiseOpset(model, kHalfScales);
}

}  // namespace

Status NarrowTypes(const FloatTypes& types, const NarrowOptions& options, Model* model) {
  if (types.empty()) return OkStatus();
  if (const DType only = OnlyType(*model, types); only != DType::kUndefined)
    model->SetMetadata(kFloatTypeKey, DTypeName(only));
  RaiseForScales(types, options, model);
  NarrowContext context{types, graph::InferValueTypes(*model), options, model->Opset(),
                        NameSet(*model->graph)};
  model->graph = NarrowGraph(Narrowing(*model->graph, nullptr, &context));
  model->graph->RemoveUnusedInitializers();
  return OkStatus();
}

}  // namespace roundel::target
