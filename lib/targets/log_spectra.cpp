#include "lib/targets/log_spectra.h"

#include <string>
#include <vector>

#include "lib/graph/operators.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Fact;
using graph::Graph;
using graph::Node;

enum class Part { kNone, kLinear, kMagnitude };

// All operands but at most one are constant.
bool ScalesByConstants(const Graph& graph, const Node& node) {
  int variable = 0;
  for (const std::string& input : node.inputs)
    if (!input.empty() && !graph.Constant(input)) ++variable;
  return variable == 1;
}

bool IsPower(const Graph& graph, const Node& node) {
  if (node.Is("Mul")) return node.input(0) == node.input(1);
  return node.Is("Pow") && graph.Constant(node.input(1));
}

// The role of a node in the computation of a logarithm.
Part PartOf(const Graph& graph, const Node& node) {
  if (graph::Has(node, Fact::kMagnitude) || IsPower(graph, node)) return Part::kMagnitude;
  if (graph::Has(node, Fact::kLinear)) return Part::kLinear;
  if (node.Is("Mul") || node.Is("Div") || graph::IsLayerOp(node))
    return ScalesByConstants(graph, node) ? Part::kLinear : Part::kNone;
  return Part::kNone;
}

bool HasLayer(const std::unordered_set<const Node*>& nodes) {
  for (const Node* node : nodes)
    if (graph::IsLayerOp(*node)) return true;
  return false;
}

// All nodes that lead to this logarithm; empty if there is no magnitude among them.
std::unordered_set<const Node*> SourcesOf(const Graph& graph, const Node& log) {
  std::unordered_set<const Node*> found;
  std::vector<std::string> open{log.input(0)};
  bool magnitude = false;
  while (!open.empty()) {
    const Node* node = graph.Producer(open.back());
    open.pop_back();
    if (!node || found.contains(node)) continue;
    const Part part = PartOf(graph, *node);
    if (part == Part::kNone) continue;
    magnitude |= part == Part::kMagnitude;
    found.insert(node);
    for (const size_t i : DataInputs(*node)) open.push_back(node->input(i));
  }
  if (!magnitude || !HasLayer(found)) found.clear();
  return found;
}

}  // namespace

std::unordered_set<const Node*> FindLogSpectra(const Graph& graph) {
  std::unordered_set<const Node*> all;
  for (const auto& node : graph.nodes())
    if (node->Is("Log")) all.merge(SourcesOf(graph, *node));
  return all;
}

}  // namespace roundel::target
