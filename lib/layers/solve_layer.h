#pragma once
// One layer from its statistics to its codes, its bias and what the report says of it.

#include <functional>
#include <string>
#include <vector>

#include "lib/layers/layer_statistics.h"
#include "lib/report/report.h"
#include "lib/session/session.h"
#include "lib/solver/problem.h"

namespace roundel::layers {

// One layer with everything known of it.
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
  // Among these ridges each layer takes the one whose best real weights do best on the held-out
  // samples, if there are any: columns of one image resemble one another, so that their number says
  // little.
  std::vector<double> ridges;
  bool free_bias = true;     // the bias takes up the mean error
  int64_t rows_at_once = 0;  // of columns kept apart; 0: all
};

// Sums of squares over outputs: of their errors, rounded to nearest and solved, and of the outputs.
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

// `layer`: with its weights, or where the columns are kept apart without, and they are unfolded
// some rows at a time. `calibrated`: the grid of the weight as calibrate chose it. `session` is
// read for the weights, the layer's bias and the scale of its input.
Result<SolvedLayer> SolveFrom(const Session& session, const UnfoldedLayer& layer,
                              const quant::Encoding& calibrated, const LayerStatistics& statistics,
                              const walk::LayerInputs* inputs, const SolveOptions& options,
                              const SolveLayer& solve);

// The bias that goes with `solution`, of the layer's rows: b, and if it is free + mean(y) - w^
// mean(x), over all samples. `layer`: with its weights.
std::vector<double> BestBias(const Session& session, const UnfoldedLayer& layer,
                             const LayerStatistics& statistics, const solver::Solution& solution,
                             bool free_bias);

}  // namespace roundel::layers
