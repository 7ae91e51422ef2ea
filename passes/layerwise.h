#pragma once
// What the passes that choose the codes of weights share: the sweep over the layers, their
// statistics, the new biases, and the report. Each pass brings the solver.
//
// A layer's input is what the model quantized so far gives it, its target what the float model
// computes; codes and scales are frozen when the next layer is looked at.

#include <functional>
#include <vector>

#include "lib/solver/problem.h"
#include "passes/layer_statistics.h"
#include "passes/pass.h"

namespace roundel::passes {

struct LayerwiseOptions {
  std::string pass;                            // whose name encodings and progress carry
  int64_t samples = 0;                         // 0: all
  int64_t memory_bytes = int64_t{1500} << 20;  // of activations put aside
  StatisticsOptions statistics;
  solver::ProblemOptions problem;
  // Among these ridges each layer takes the one whose best real weights do best on the held-out
  // samples, if there are any: columns of one image resemble one another, so that their number says
  // little.
  std::vector<double> ridges;
  bool correct_bias = true;  // the bias takes up the mean error
};

// One layer with everything known of it.
struct LayerTask {
  const UnfoldedLayer& layer;
  solver::Params params;                           // from calibration
  std::vector<solver::Problem> problems;           // by group, of the training samples
  std::vector<solver::Objective> train, held_out;  // by group; held_out may be empty
  const engine::LayerInputs& inputs;
  std::string note = {};  // for the report
};
using SolveLayer = std::function<Result<solver::Solution>(LayerTask& task)>;

// Solves every layer whose weight has a grid and no codes yet. Weights of other kinds keep their
// grid and are rounded to nearest; the report says so.
Result<Outcome> SolveLayers(Session& session, const LayerwiseOptions& options,
                            const SolveLayer& solve);

// Such a pass: `params` behind those that all of them have, one of which is whether the bias takes
// up the mean error by default.
PassInfo LayerwisePass(const std::string& name, const std::string& summary, bool correct_bias,
                       const recipe::ParamSpecs& params,
                       Result<Outcome> (*run)(Session&, const recipe::Params&));
// What the common parameters say.
LayerwiseOptions ReadLayerwise(const std::string& pass, const recipe::Params& params);

}  // namespace roundel::passes
