#include "lib/tune/block_loss.h"

#include <algorithm>

#include "lib/graph/layer.h"
#include "lib/graph/operators.h"

namespace roundel::tune {
namespace {

using graph::Fact;

std::string Mean(Nodes* nodes, const std::string& value) {
  return nodes->Add("ReduceMean", {value}, {{"keepdims", int64_t{0}}});
}

std::string EmitSquared(Nodes* nodes, const std::string& value, const std::string& target) {
  const std::string error = nodes->Add("Sub", {value, target});
  return Mean(nodes, nodes->Add("Mul", {error, error}));
}

// The mean over all elements, which the caller multiplies by the number of classes: axes of
// reductions are inputs or attributes, depending on the model's opset.
std::string EmitDivergence(Nodes* nodes, const std::string& value, const std::string& target) {
  const Nodes::Attributes last = {{"axis", int64_t{-1}}};
  const std::string log_p = nodes->Add("LogSoftmax", {target}, last);
  const std::string log_q = nodes->Add("LogSoftmax", {value}, last);
  return Mean(nodes,
              nodes->Add("Mul", {nodes->Add("Exp", {log_p}), nodes->Add("Sub", {log_p, log_q})}));
}

// Whether the graph computes the value by a matrix product with constant weights.
bool FromProduct(const graph::Graph& graph, const std::string& value) {
  std::string why;
  const auto layer = graph::LayerProducing(graph, value, &why);
  return layer && !graph::IsConvolution(*layer);
}

// By an operator that makes probabilities of scores, or their logarithms.
bool ReadBySoftmax(const graph::Graph& graph, const std::string& value, int64_t rank) {
  const std::vector<graph::Use>& uses = graph.Uses(value);
  return std::any_of(uses.begin(), uses.end(), [&](const graph::Use& use) {
    if (!graph::Has(*use.node, Fact::kNormalizes) || !graph::Has(*use.node, Fact::kKeepsRanking))
      return false;
    const int64_t axis = use.node->Int("axis", -1);
    return axis == -1 || axis == rank - 1;
  });
}

}  // namespace

std::string EmitLoss(Nodes* nodes, const std::string& value, const std::string& target,
                     const TargetLoss& loss) {
  const bool squared = loss.kind == LossKind::kSquared;
  const std::string error =
      squared ? EmitSquared(nodes, value, target) : EmitDivergence(nodes, value, target);
  const double factor = squared ? loss.share / std::max(loss.power, 1e-30)
                                : loss.share * static_cast<double>(loss.classes);
  return nodes->Add("Mul", {error, nodes->Scalar(static_cast<float>(factor))});
}

bool HoldsScores(const graph::Graph& graph, const std::string& value, const Shape& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  if (rank < 2 || shape.back() < 2) return false;
  if (ReadBySoftmax(graph, value, rank)) return true;
  return graph.IsOutput(value) && (rank == 2 || FromProduct(graph, value));
}

}  // namespace roundel::tune
