// Coordinate descent with low-rank H: the sums u^T (w^ - w*) of a few rows in parallel replace the
// gradient, so that one code costs `columns` operations instead of n.

#include "lib/base/vectorize.h"
ROUNDEL_FAST_LOOPS

#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/solver/levels.h"
#include "lib/solver/linalg.h"
#include "lib/solver/low_rank_descent.h"

namespace roundel::solver {
namespace {

constexpr int64_t kRows = 16;  // side by side

ROUNDEL_VECTORIZE_FUSED
void Dots(const float* u, const float* sums, int64_t columns, float* dots) {
  float total[kRows] = {};
  for (int64_t k = 0; k < columns; ++k)
    for (int64_t l = 0; l < kRows; ++l) total[l] += u[k] * sums[k * kRows + l];
  for (int64_t l = 0; l < kRows; ++l) dots[l] = total[l];
}

ROUNDEL_VECTORIZE_FUSED
void AddMoves(const float* u, const float* moves, int64_t columns, float* sums) {
  for (int64_t k = 0; k < columns; ++k)
    for (int64_t l = 0; l < kRows; ++l) sums[k * kRows + l] += u[k] * moves[l];
}

// Up to kRows rows of one group.
class RowsInDescent {
 public:
  RowsInDescent(const Problem& problem, const GridSpec& spec, const Solution& solution,
                int64_t first, int64_t in_group, int64_t rows)
      : problem_(problem), spec_(spec), h_(problem.low_rank), n_(problem.n), rows_(rows) {
    target_ = problem.target.data() + in_group * n_;
    for (int64_t l = 0; l < rows; ++l)
      for (int64_t b = 0; b < spec.Blocks(n_); ++b)
        params_.push_back(
            solution.params[spec.ParamIndex(first + l, b * spec.ColumnsPerBlock(n_), n_)]);
    x_.resize(static_cast<size_t>(n_ * kRows));
    for (int64_t l = 0; l < rows; ++l)
      for (int64_t j = 0; j < n_; ++j)
        x_[j * kRows + l] =
            static_cast<float>(solution.codes[(first + l) * n_ + j] - Params(l, j).zero_point);
  }

  void Descend(int sweeps) {
    SumErrors();
    while (sweeps-- > 0 && Sweep()) {
    }
  }

  // s = x^T H w* / x^T H x, for rows with one scale.
  void RefitScales() {
    for (int64_t l = 0; l < rows_; ++l) {
      std::vector<double> x(static_cast<size_t>(n_)), w(static_cast<size_t>(n_));
      for (int64_t j = 0; j < n_; ++j) {
        x[j] = x_[j * kRows + l];
        w[j] = target_[l * n_ + j];
      }
      const std::vector<double> ux = Project(h_, x, 1), uw = Project(h_, w, 1);
      double curvature = 0, along = 0;
      for (int64_t k = 0; k < h_.columns; ++k) {
        curvature += ux[k] * ux[k];
        along += ux[k] * uw[k];
      }
      for (int64_t j = 0; j < n_; ++j) {
        curvature += h_.ridge[j] * x[j] * x[j];
        along += h_.ridge[j] * x[j] * w[j];
      }
      const double scale = curvature > 0 ? along / curvature : 0;
      float& old = params_[static_cast<size_t>(l)].scale;
      const bool sign_fits = spec_.signed_scale || scale * old > 0;
      if (sign_fits && std::fabs(scale) >= std::numeric_limits<float>::min() &&
          std::fabs(scale) < 1e30)
        old = static_cast<float>(scale);
    }
  }

  void Write(int64_t first, Solution* to) const {
    for (int64_t l = 0; l < rows_; ++l)
      for (int64_t j = 0; j < n_; ++j) {
        const quant::QParams& p = Params(l, j);
        to->codes[(first + l) * n_ + j] = CodeOf(x_[j * kRows + l], p);
        to->params[spec_.ParamIndex(first + l, j, n_)] = p;
      }
  }

 private:
  const quant::QParams& Params(int64_t lane, int64_t column) const {
    return params_[static_cast<size_t>(lane * spec_.Blocks(n_) +
                                       column / spec_.ColumnsPerBlock(n_))];
  }
  float Error(int64_t lane, int64_t column) const {
    return x_[column * kRows + lane] * Params(lane, column).scale - target_[lane * n_ + column];
  }

  void SumErrors() {
    sums_.assign(static_cast<size_t>(h_.columns * kRows), 0.0f);
    std::vector<float> errors(static_cast<size_t>(n_ * kRows));
    for (int64_t j = 0; j < n_; ++j)
      for (int64_t l = 0; l < rows_; ++l) errors[j * kRows + l] = Error(l, j);
    AddProduct(h_.columns, kRows, n_, 1.0f, Strided<float>{h_.u.data(), h_.columns, 1},
               errors.data(), kRows, sums_.data(), kRows);
  }

  // Moves every code to its best level, given the others. True if one moved.
  bool Sweep() {
    bool moved = false;
    for (int64_t j = 0; j < n_; ++j) {
      const auto curvature = static_cast<float>(problem_.Diagonal(j));
      if (!(curvature > 0)) continue;
      float dots[kRows], moves[kRows] = {};
      Dots(h_.Row(j), sums_.data(), h_.columns, dots);
      bool any = false;
      for (int64_t l = 0; l < rows_; ++l) {
        const Levels levels = LevelsOf(Params(l, j), spec_.grid);
        float& x = x_[j * kRows + l];
        const float slope = h_.ridge[j] * Error(l, j) + dots[l];
        const float best = NearestLevel(x * levels.scale - slope / curvature, levels);
        if (best == x) continue;
        moves[l] = (best - x) * levels.scale;
        // Only moves that improve the row: 2 slope move + curvature move^2 < 0.
        if (!(moves[l] * (2 * slope + curvature * moves[l]) < 0)) {
          moves[l] = 0;
          continue;
        }
        x = best;
        any = true;
      }
      if (any) AddMoves(h_.Row(j), moves, h_.columns, sums_.data());
      moved |= any;
    }
    return moved;
  }

  const Problem& problem_;
  const GridSpec& spec_;
  const LowRank& h_;
  const int64_t n_, rows_;
  const float* target_;                 // [rows, n]
  std::vector<quant::QParams> params_;  // [rows, blocks]
  std::vector<float> x_;                // [n, kRows] levels
  std::vector<float> sums_;             // [columns, kRows] u^T (w^ - w*)
};

}  // namespace

void DescendLowRank(Layer layer, const GridSpec& spec, int sweeps, bool refit, Solution* solution) {
  if (solution->codes.empty()) return;
  Solution mine = *solution;
  const bool one_scale = refit && spec.granularity == quant::Granularity::kChannel;
  for (size_t g = 0; g < layer.size(); ++g)
    ParallelFor(layer[g].m, kRows, [&](int64_t begin, int64_t end) {
      const int64_t first = static_cast<int64_t>(g) * layer[g].m + begin;
      RowsInDescent rows(layer[g], spec, *solution, first, begin, end - begin);
      rows.Descend(sweeps);
      if (one_scale) {
        rows.RefitScales();
        rows.Descend(sweeps);
      }
      rows.Write(first, &mine);
    });
  Score(layer, spec, &mine);
  KeepBetterRows(spec, mine, mine.errors, solution->errors, solution);
}

}  // namespace roundel::solver
