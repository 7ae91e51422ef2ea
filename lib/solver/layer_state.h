#pragma once
// The state of a layer during polishing, while codes and scales change: levels x, the gradient g =
// H (w* - w^) and H w* of every row.

#include <span>
#include <vector>

#include "lib/solver/levels.h"

namespace roundel::solver {

// One row. Blocks of `columns` columns have levels[0], levels[1], ...
struct RowState {
  const Problem& problem;
  int64_t columns;
  float* x;         // [n]
  float* g;         // [n] H (w* - w^)
  const float* hw;  // [n] H w*
  std::span<Levels> levels;

  int64_t n() const { return problem.n; }
  const Levels& at(int64_t j) const { return levels[static_cast<size_t>(j / columns)]; }
  // x_j += steps; updates the gradient.
  void Move(int64_t j, float steps);
};

class LayerState {
 public:
  LayerState(Layer layer, const GridSpec& spec, const Solution& solution);

  RowState Row(int64_t row);
  int64_t rows() const { return rows_; }
  Params& params() { return params_; }
  // Recomputes levels from params. Must be called for a row after its params change.
  void SetLevels(int64_t row);

  // Scores the present codes, and copies the rows that are better than those of *solution to it.
  void Commit(Solution* solution) const;

 private:
  Layer layer_;
  const GridSpec& spec_;
  int64_t rows_, n_;
  std::vector<float> x_, g_, hw_;  // [rows, n]
  std::vector<Levels> levels_;     // [rows, blocks]
  Params params_;
};

}  // namespace roundel::solver
