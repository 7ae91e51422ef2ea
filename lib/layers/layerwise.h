#pragma once
// What the passes that choose the codes of weights share: the sweep over the layers, their
// statistics, the new biases, and the report. Each pass brings the solver.
//
// A layer's input is what the model quantized so far gives it, its target what the float model
// computes; codes and scales are frozen when the next layer is looked at.

#include <string>
#include <vector>

#include "lib/layers/solve_layer.h"

namespace roundel::layers {

struct LayerwiseOptions {
  std::string pass;      // whose name encodings and progress carry
  std::string settings;  // the parameters, for the store
  int64_t samples = 0;   // 0: all
  // Of activations put aside; if somebody set it, also what the sums of one layer may take.
  int64_t memory_bytes = int64_t{1500} << 20;
  bool memory_is_given = false;
  StatisticsOptions statistics;
  SolveOptions solve;
  bool needs_inputs = false;  // the solver reads LayerTask::inputs
};

// Solves every layer whose weight has a grid and no codes yet. Weights of other kinds keep their
// grid and are rounded to nearest; the report says so.
Result<Outcome> SolveLayers(Session& session, const LayerwiseOptions& options,
                            const SolveLayer& solve);

}  // namespace roundel::layers
