#pragma once
// Whether a model computes every sample of a batch by itself.

#include <string>

#include "lib/engine/plan.h"

namespace roundel::engine {

struct SampleJudgement {
  // Axis 0 of every input and output is the batch, open, and no node mixes samples or depends on
  // how many there are: a batch may be run in parts whose outputs, one behind the other, are those
  // of the whole.
  bool independent = false;
  // What speaks against it: "node 'r' (Reshape)", "output 'y' has no sample axis".
  std::string reason;
  // Axis 0 of an input is no batch: the model walks along it, or puts a batch axis in front of it.
  bool first_axis_is_walked = false;
};

// Nodes are judged by a list of operators, and all others are taken to mix samples.
SampleJudgement JudgeSamples(const Plan& plan);
// kModel if the model cannot be run.
Result<SampleJudgement> JudgeSamples(const graph::Model& model);

}  // namespace roundel::engine
