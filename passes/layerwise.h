#pragma once
// What the passes that choose the codes of weights share: the sweep over the layers, their
// statistics, the new biases, and the report. Each pass brings the solver.
//
// A layer's input is what the model quantized so far gives it, its target what the float model
// computes; codes and scales are frozen when the next layer is looked at.

#include <string>
#include <vector>

#include "passes/solve_layer.h"

namespace roundel::passes {

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

// Parameter `sequential`, whether a layer's input is what the model quantized so far gives it.
recipe::ParamSpec SequentialParam();

// Such a pass: `params` behind those that all of them have, one of which is whether the bias takes
// up the mean error by default.
PassInfo LayerwisePass(const std::string& name, const std::string& summary, bool correct_bias,
                       const recipe::ParamSpecs& params,
                       Result<Outcome> (*run)(Session&, const recipe::Params&));
// What the common parameters say.
LayerwiseOptions ReadLayerwise(const std::string& pass, const recipe::Params& params);

}  // namespace roundel::passes
