#pragma once
// The loss of a block: how far its targets are from those of the float model.

#include <string>
#include <vector>

#include "lib/graph/graph.h"
#include "lib/tune/nodes.h"

namespace roundel::tune {

enum class LossKind {
  // mean (y - t)^2 / power
  kSquared,
  // Kullback-Leibler divergence of the distributions over the last axis, in nats (distillation,
  // Hinton et al. 2015, at temperature 1): mean over rows of sum p (log p - log q), with
  // p = softmax(t), q = softmax(y)
  kDivergence,
};

// What a pass asks for. kAuto: the divergence where the target holds scores of classes.
enum class LossChoice { kAuto, kSquared, kDivergence };

struct TargetLoss {
  LossKind kind = LossKind::kSquared;
  double power = 1;     // kSquared: mean square of the target, what 1 is in the loss
  int64_t classes = 1;  // kDivergence: length of the last axis
  double share = 1;     // factor in the sum over targets
  bool judged = true;   // false: it only guides learning, and results are not judged by it
};

// Appends the loss of one target. Returns the name of the scalar.
std::string EmitLoss(Nodes* nodes, const std::string& value, const std::string& target,
                     const TargetLoss& loss);

// Whether `value`, of `shape` with samples on axis 0, holds unnormalized scores of at least two
// classes along its last axis: a Softmax or LogSoftmax reads it along that axis, or it is an output of
// the model that is [N, classes] or comes from a matrix product with constant weights.
bool HoldsScores(const graph::Graph& graph, const std::string& value, const Shape& shape);

}  // namespace roundel::tune
