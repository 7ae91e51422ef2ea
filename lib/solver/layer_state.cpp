#include "lib/solver/layer_state.h"

#include "lib/base/parallel.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {

void RowState::Move(int64_t j, float steps) {
  x[j] += steps;
  AddScaled(-steps * at(j).scale, problem.H.data() + j * n(), g, n());
}

LayerState::LayerState(Layer layer, const GridSpec& spec, const Solution& solution)
    : layer_(layer), spec_(spec), rows_(solution.rows), n_(solution.n), params_(solution.params) {
  const auto size = static_cast<size_t>(rows_ * n_);
  x_.resize(size);
  g_.resize(size);
  hw_.resize(size);
  levels_.resize(static_cast<size_t>(rows_ * spec.Blocks(n_)));
  std::vector<float> error(size);
  ParallelFor(rows_, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      SetLevels(row);
      const float* target = layer_[row / layer_[0].m].target.data() + row % layer_[0].m * n_;
      for (int64_t j = 0; j < n_; ++j) {
        const size_t i = static_cast<size_t>(row * n_ + j);
        const quant::QParams p = params_[spec_.ParamIndex(row, j, n_)];
        x_[i] = static_cast<float>(solution.codes[i] - p.zero_point);
        error[i] = target[j] - x_[i] * p.scale;
      }
    }
  });
  ParallelFor(static_cast<int64_t>(layer.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const Problem& p = layer[g];
      const int64_t at = g * p.m * n_;
      AddProduct(p.m, n_, n_, 1.0f, Strided<float>{p.target.data(), 1, n_}, p.H.data(), n_,
                 hw_.data() + at, n_);
      AddProduct(p.m, n_, n_, 1.0f, Strided<float>{error.data() + at, 1, n_}, p.H.data(), n_,
                 g_.data() + at, n_);
    }
  });
}

RowState LayerState::Row(int64_t row) {
  const int64_t at = row * n_, blocks = spec_.Blocks(n_);
  return {.problem = layer_[row / layer_[0].m],
          .columns = spec_.ColumnsPerBlock(n_),
          .x = x_.data() + at,
          .g = g_.data() + at,
          .hw = hw_.data() + at,
          .levels = std::span(levels_).subspan(static_cast<size_t>(row * blocks),
                                               static_cast<size_t>(blocks))};
}

void LayerState::SetLevels(int64_t row) {
  const int64_t blocks = spec_.Blocks(n_);
  for (int64_t b = 0; b < blocks; ++b)
    levels_[row * blocks + b] =
        LevelsOf(params_[spec_.ParamIndex(row, b * spec_.ColumnsPerBlock(n_), n_)], spec_.grid);
}

void LayerState::Commit(Solution* solution) const {
  Solution mine = EmptySolution(layer_, spec_, params_);
  for (int64_t row = 0; row < rows_; ++row)
    for (int64_t j = 0; j < n_; ++j)
      mine.codes[row * n_ + j] = CodeOf(x_[row * n_ + j], params_[spec_.ParamIndex(row, j, n_)]);
  Score(layer_, spec_, &mine);
  KeepBetterRows(spec_, mine, mine.errors, solution->errors, solution);
}

}  // namespace roundel::solver
