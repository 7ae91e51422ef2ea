#include "lib/targets/output_paths.h"

#include <algorithm>

#include "lib/graph/operators.h"
#include "lib/targets/op_facts.h"

namespace roundel::target {
namespace {

using graph::Fact;

// Not a layer, mean or recurrence: each element of the result depends on few elements of the input,
// or, in a normalization, on all of them in the same way.
bool KeepsRareValues(const graph::Node& node) {
  return graph::Has(node, Fact::kMoves | Fact::kOrders | Fact::kNormalizes | Fact::kHasBodies |
                              Fact::kPointwise | Fact::kBroadcasts);
}

// A layer over all positions at once.
bool MixesPositions(const graph::Graph& graph, const graph::Node& node) {
  const graph::Node* producer = graph.Producer(node.input(0));
  return graph::Has(node, Fact::kMatrix) && producer && producer->Is("Flatten");
}

// A layer whose results keep the positions of its input. A product of two activations mixes
// positions with computed weights, as an average does.
bool IsLocalLayer(const graph::Graph& graph, const graph::Node& node) {
  if (graph::Has(node, Fact::kMatrix))
    return !MixesPositions(graph, node) &&
           (graph.Constant(node.input(0)) || graph.Constant(node.input(1)));
  return graph::Has(node, Fact::kLocal);
}

bool Reaches(const graph::Node& node, const std::unordered_set<std::string>& values) {
  return std::any_of(node.outputs.begin(), node.outputs.end(),
                     [&](const std::string& output) { return values.contains(output); });
}

// Values without positions: means over positions, results of layers after a Flatten, and everything
// that is computed only from those. The outputs of classifiers are such values.
std::unordered_set<std::string> WithoutPositions(const graph::Graph& graph) {
  std::unordered_set<std::string> values;
  for (const auto& node : graph.nodes()) {
    const bool mean = node->Is("GlobalAveragePool") || node->Is("ReduceMean");
    size_t variable = 0, without = 0;
    for (const size_t i : DataInputs(*node)) {
      if (node->input(i).empty() || graph.Constant(node->input(i))) continue;
      ++variable;
      without += values.contains(node->input(i));
    }
    if (mean || MixesPositions(graph, *node) || (variable > 0 && without == variable))
      values.insert(node->outputs.begin(), node->outputs.end());
  }
  return values;
}

// Values of which outputs need only the order: only movers and Softmax follow.
std::unordered_set<std::string> Ranked(const graph::Graph& graph) {
  std::unordered_set<std::string> values;
  for (const auto& output : graph.outputs) values.insert(output.name);
  const auto& nodes = graph.nodes();
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it)
    if (graph::Has(**it, Fact::kKeepsRanking) && Reaches(**it, values))
      values.insert((*it)->input(0));
  return values;
}

// The classes of a whole image: the largest logit remains the largest if it saturates, and finer
// steps between the others decide more often.
void ExcludeClasses(const graph::Graph& graph, OutputPaths* paths) {
  const auto ranked = Ranked(graph);
  for (const std::string& value : WithoutPositions(graph)) {
    if (ranked.contains(value)) paths->direct.erase(value);
    if (!paths->direct.contains(value)) paths->local.erase(value);
  }
}

}  // namespace

OutputPaths FindOutputPaths(const graph::Graph& graph) {
  OutputPaths paths;
  for (const auto& output : graph.outputs) paths.direct.insert(output.name);
  paths.local = paths.direct;
  const auto& nodes = graph.nodes();
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    const graph::Node& node = **it;
    const bool direct = KeepsRareValues(node) && Reaches(node, paths.direct);
    const bool layer = IsLocalLayer(graph, node);
    const bool local = direct || ((layer || (KeepsRareValues(node) && !node.Is("Flatten"))) &&
                                  Reaches(node, paths.local));
    if (!local) continue;
    for (const size_t i : DataInputs(node)) {
      paths.local.insert(node.input(i));
      if (direct) paths.direct.insert(node.input(i));
    }
  }
  ExcludeClasses(graph, &paths);
  return paths;
}

}  // namespace roundel::target
