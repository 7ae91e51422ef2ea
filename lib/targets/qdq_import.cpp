// QDQ -> float graph + encodings: the inverse of export, for the QDQ models of any tool.
//
//    integers -> DQ -> w                    weight or bias (int32): float initializer + codes
//    w (float constant) -> Q -> DQ          the same; older TensorRT flow
//    x -> Q -> DQ                           encoding of x
//    x -> Q1 -> DQ1 -> Q2 -> DQ2            equal pairs are merged; others get a separate value
//
// An encoding applies to every reader of its value. If only some readers of x read it through Q/DQ,
// or through different ones, each distinct pair becomes Identity(x) with an encoding.

#include <algorithm>
#include <unordered_set>

#include "lib/graph/bodies.h"
#include "lib/targets/export.h"
#include "lib/targets/import_constants.h"
#include "lib/targets/import_pairs.h"
#include "lib/targets/importing.h"
#include "lib/targets/kept_float.h"
#include "lib/targets/qdq.h"
#include "lib/targets/read_quantizer.h"
#include "lib/targets/restore_clamps.h"

namespace roundel::target {
namespace {

using graph::Graph;
using graph::Node;

// Whether the node only computes scales of other quantizers, which are part of their encodings.
bool MakesScalesOnly(const Importing& s, const Node& dq) {
  const std::vector<graph::Use>& uses = s.g.Uses(dq.output(0));
  return !uses.empty() && !s.g.IsOutput(dq.output(0)) && HasConstantScale(s.g, dq.output(0)) &&
         std::all_of(uses.begin(), uses.end(), [](const graph::Use& use) {
           return use.index == 1 && (IsDequantizeNode(*use.node) || IsQuantizeNode(*use.node));
         });
}

Status TakeDequantize(Importing& s, const Node& dq) {
  const std::string& source = dq.input(0);
  if (MakesScalesOnly(s, dq)) {
    s.scale_nodes.insert(&dq);
    return OkStatus();
  }
  if (const Tensor* codes = s.g.Constant(source)) return TakeConstant(s, dq, source, *codes);
  const Node* q = s.g.Producer(source);
  const auto pair = q ? s.quantizers.find(q) : s.quantizers.end();
  if (pair == s.quantizers.end()) {
    if (!q || !IsQuantizeNode(*q)) s.Keep(dq, kKeptForSource);
    s.CopyNode(dq);
    return OkStatus();
  }
  if (const Tensor* value = s.g.Constant(q->input(0)); value && value->dtype() == DType::kFloat)
    return TakeFloatConstant(s, dq, q->input(0), *value, pair->second);
  TakeActivation(s, dq, q->input(0), pair->second);
  return OkStatus();
}

// Values whose producers write a graph output instead of a pair.
void RenameOutputs(Importing& s) {
  for (const auto& node : s.made->nodes())
    for (std::string& output : node->outputs)
      if (const auto it = s.writes.find(output); it != s.writes.end()) output = it->second;
  s.made->InvalidateIndex();
}

// The float graph; encodings go into `out`.
Result<std::shared_ptr<Graph>> RemoveQuantizers(FloatModel* out, std::vector<std::string>* kept,
                                                ImportValues values) {
  Importing s{.g = *out->model.graph, .encodings = out->encodings, .kept = kept, .values = values};
  for (const auto& initializer : s.g.initializers()) s.made->AddInitializer(initializer);
  for (const auto& node : s.g.nodes()) {
    if (IsDequantizeNode(*node))
      RETURN_IF_ERROR(TakeDequantize(s, *node));
    else if (!IsQuantizeNode(*node) || !TakeQuantize(s, *node))
      s.CopyNode(*node);
  }
  RenameOutputs(s);
  CopyValueInfo(s.g, s.made.get());
  RemoveUnusedConstants(s.made.get());
  return s.made;
}

// Removes the nodes that KeepFloats has added.
void DropKeptFloats(Graph* graph) {
  std::vector<const Node*> kept;
  for (const auto& node : graph->nodes())
    if (IsKeptFloat(*node) && !graph->IsOutput(node->output(0))) kept.push_back(node.get());
  for (const Node* node : kept) graph->ReplaceUses(node->output(0), node->input(0));
  const std::unordered_set<const Node*> gone(kept.begin(), kept.end());
  if (!gone.empty()) graph->RemoveNodes([&](const Node& node) { return gone.contains(&node); });
}

}  // namespace

Result<FloatModel> ImportQdq(const graph::Model& model, std::vector<std::string>* kept,
                             ImportValues values) {
  FloatModel out;
  out.model = graph::Clone(model);
  graph::MakeNamesUnique(&out.model);
  out.types = WidenTypes(&out.model);
  const graph::Bodies bodies = graph::FlattenBodies(&out.model);
  DropKeptFloats(out.model.graph.get());
  const auto old_graph = out.model.graph;  // the import reads it
  ASSIGN_OR_RETURN(out.model.graph, RemoveQuantizers(&out, kept, values));
  std::erase_if(out.model.metadata,
                [](const auto& entry) { return entry.first == "roundel.format"; });
  NoteKeptFloat({}, &out.model);
  for (auto& [name, e] : out.encodings) e.decided_by = "import";
  RestoreClamps(out.encodings, &out.model);
  graph::RestoreBodies(bodies, &out.model);
  return out;
}

}  // namespace roundel::target
