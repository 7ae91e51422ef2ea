#pragma once
// The common part of passes that choose codes of weights: the sweep over the layers, their
// statistics, the new biases and the report. Each pass supplies the solver.
//
// A layer's input comes from the model with the layers so far quantized; its target is the output
// of the float model. Codes and scales are frozen before the next layer is visited.

#include <string>
#include <vector>

#include "lib/layers/solve_layer.h"

namespace roundel::layers {

struct LayerwiseOptions {
  std::string pass;      // the name in encodings and progress
  std::string settings;  // the parameters, for the store
  int64_t samples = 0;   // 0: all
  // For stored activations; if memory_is_given, also the limit for the sums of one layer.
  int64_t memory_bytes = int64_t{1500} << 20;
  bool memory_is_given = false;
  StatisticsOptions statistics;
  SolveOptions solve;
  bool needs_inputs = false;  // the solver reads LayerTask::inputs
  // The assignment with which layers do not depend on earlier ones (reference_inputs).
  std::string independent = "sequential=false";
};

// Solves every layer with a weight that has a grid but no codes. Other weights keep their grid and
// are rounded to nearest; the report lists them.
Result<Outcome> SolveLayers(Session& session, const LayerwiseOptions& options,
                            const SolveLayer& solve);

}  // namespace roundel::layers
