#pragma once
// Detects whether a model computes every sample of a batch independently.

#include <string>

#include "lib/engine/plan.h"

namespace roundel::engine {

struct SampleJudgment {
  // True if axis 0 of every input and output is the batch axis, without fixed size, and no node
  // mixes samples or depends on their number: the concatenated outputs of parts of a batch are
  // those of the whole batch.
  bool independent = false;
  // The reason if not: "node 'r' (Reshape)", "output 'y' has no sample axis".
  std::string reason;
  // Axis 0 of an input is no batch axis: the model iterates over it, or adds a batch axis.
  bool first_axis_is_sequence = false;
};

// Nodes are judged by a list of operators. All others are assumed to mix samples.
SampleJudgment JudgeSamples(const Plan& plan);
// Errors: kModel if the model cannot be run.
Result<SampleJudgment> JudgeSamples(const graph::Model& model);

}  // namespace roundel::engine
