#pragma once
// The common part of passes that choose codes of weights: the sweep over the layers, their
// statistics, the new biases and the report. Each pass supplies the solver.
//
// A layer's input comes from the model with the layers so far quantized; its target is the output
// of the float model. Codes and scales are frozen before the next layer is visited.

#include <memory>
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
  bool uses_store = true;  // results are read from and written to the session's store
};

// Solves every layer with a weight that has a grid but no codes. Other weights keep their grid and
// are rounded to nearest; the report lists them.
Result<Outcome> SolveLayers(Session& session, const LayerwiseOptions& options,
                            const SolveLayer& solve);

struct LayerSweep;

// The same layers, solved by another walk, on inputs that it supplies.
class LayerSolver {
 public:
  // All arguments must outlive this object. Errors: kUsage if the memory is too small.
  static Result<LayerSolver> Create(Session& session, const LayerwiseOptions& options,
                                    const SolveLayer& solve);
  ~LayerSolver();
  LayerSolver(LayerSolver&&) noexcept;
  LayerSolver& operator=(LayerSolver&&) noexcept;

  // In the order of the model.
  const std::vector<const graph::Node*>& nodes() const;
  // Solves layer `i` of nodes(): codes, scales and bias are those of the solution. Returns the text
  // for the progress display. Requires: layers are solved in order.
  Result<std::string> Solve(size_t i, const walk::LayerInputs& inputs);
  // The report on all.
  Result<Outcome> Finish();

 private:
  explicit LayerSolver(std::unique_ptr<LayerSweep> sweep);
  std::unique_ptr<LayerSweep> sweep_;
};

}  // namespace roundel::layers
