#pragma once
// Solves one layer: from its statistics to its codes, its bias and its record in the report.

#include <functional>
#include <string>
#include <vector>

#include "lib/layers/layer_statistics.h"
#include "lib/report/report.h"
#include "lib/session/session.h"
#include "lib/solver/problem.h"

namespace roundel::layers {

// One layer and the inputs of its solver.
struct LayerTask {
  const UnfoldedLayer& layer;
  solver::Params params;                           // from calibration
  std::vector<solver::Problem> problems;           // by group, of the training samples
  std::vector<solver::Objective> train, held_out;  // by group; held_out may be empty
  // nullptr unless LayerwiseOptions::needs_inputs and there is no solution yet.
  const walk::LayerInputs* inputs;
  std::string note = {};  // for the report
};
using SolveLayer = std::function<Result<solver::Solution>(LayerTask& task)>;

struct SolveOptions {
  solver::ProblemOptions problem;
  // Each layer takes the ridge with the best real weights on the held-out samples, if there
  // are any. The number of columns is a poor guide, because columns of one image are
  // correlated.
  std::vector<double> ridges;
  bool free_bias = true;     // the bias cancels the mean error
  int64_t rows_at_once = 0;  // of stored columns; 0: all
};

// Sums of squares over outputs: of the errors (rounded to nearest, and solved) and of the outputs.
struct ErrorTotals {
  double before = 0, after = 0, power = 0;

  void Add(const ErrorTotals& other);
  double RelativeBefore() const { return power > 0 ? before / power : 0; }
  double RelativeAfter() const { return power > 0 ? after / power : 0; }
};

struct SolvedLayer {
  solver::Solution solution;
  std::vector<double> bias;  // one value per output channel
  report::LayerOutcome outcome;
};

// `layer`: with its weights; or without them for stored columns, and then some rows are unfolded at
// a time. `calibrated`: the weight's encoding from calibrate. `session` is read for the weights,
// the layer's bias and the scale of its input.
Result<SolvedLayer> SolveFrom(const Session& session, const UnfoldedLayer& layer,
                              const quant::Encoding& calibrated, const LayerStatistics& statistics,
                              const walk::LayerInputs* inputs, const SolveOptions& options,
                              const SolveLayer& solve);

// The bias for `solution`, of the layer's rows: b, and if free_bias, plus mean(y) - w^ mean(x) over
// all samples. Requires: `layer` has its weights.
std::vector<double> BestBias(const Session& session, const UnfoldedLayer& layer,
                             const LayerStatistics& statistics, const solver::Solution& solution,
                             bool free_bias);

}  // namespace roundel::layers
