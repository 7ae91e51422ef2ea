#include "lib/solver/closest_vector.h"

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/solver/levels.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {
namespace {

constexpr double kPivotFloor = 1e-7;
// A branch must be better than the best so far by this factor, so that equal ones are not searched.
constexpr double kGain = 1 - 1e-7;

// min |U (w* - s x)|^2 over the box, U upper triangular: columns are fixed from the last to the
// first.
class Enumeration {
 public:
  Enumeration(const std::vector<double>& u, const float* target, std::vector<Levels> levels,
              int64_t max_nodes)
      : u_(u),
        n_(static_cast<int64_t>(levels.size())),
        target_(target),
        levels_(std::move(levels)),
        left_(max_nodes),
        error_(levels_.size()),
        x_(levels_.size()) {}

  // True if *best is proven to be the optimum now.
  bool Run(std::vector<double>* best) {
    best_ = best;
    double cost = 0;
    for (int64_t k = n_; k-- > 0;) {
      const double d = u_[k * n_ + k] * (Center(k) - (*best)[k] * levels_[k].scale);
      error_[k] = target_[k] - (*best)[k] * levels_[k].scale;
      cost += d * d;
    }
    bound_ = cost * kGain;
    Visit(n_ - 1, 0);
    return left_ > 0;
  }

 private:
  // The value of w^_k at which column k has no cost, given the later columns.
  double Center(int64_t k) const {
    double sum = 0;
    for (int64_t j = k + 1; j < n_; ++j) sum += u_[k * n_ + j] * error_[j];
    return target_[k] + sum / u_[k * n_ + k];
  }

  // Levels of column k from the nearest outwards, until they cost too much.
  void Visit(int64_t k, double cost) {
    const Levels& levels = levels_[k];
    const double center = Center(k), ideal = center / levels.scale;
    const double low = levels.low, high = levels.high;
    double next = std::clamp(std::nearbyint(ideal), low, high), below = next - 1, above = next + 1;
    while (left_ > 0) {
      --left_;
      const double d = u_[k * n_ + k] * (center - next * levels.scale), total = cost + d * d;
      if (!(total < bound_)) return;
      x_[k] = next;
      error_[k] = target_[k] - next * levels.scale;
      if (k > 0) {
        Visit(k - 1, total);
      } else {
        bound_ = total * kGain;
        *best_ = x_;
      }
      if (below < low && above > high) return;
      const bool down = above > high || (below >= low && ideal - below < above - ideal);
      next = down ? below-- : above++;
    }
  }

  const std::vector<double>& u_;
  const int64_t n_;
  const float* target_;
  const std::vector<Levels> levels_;
  int64_t left_;
  double bound_ = 0;
  std::vector<double> error_, x_;
  std::vector<double>* best_ = nullptr;
};

bool SolveRow(const std::vector<double>& u, const float* target, const GridSpec& spec, int64_t row,
              int64_t max_nodes, Solution* solution) {
  const int64_t n = solution->n;
  int32_t* codes = solution->codes.data() + row * n;
  std::vector<Levels> levels;
  std::vector<double> x;
  for (int64_t j = 0; j < n; ++j) {
    const quant::QParams p = solution->params[spec.ParamIndex(row, j, n)];
    levels.push_back(LevelsOf(p, spec.grid));
    x.push_back(codes[j] - p.zero_point);
  }
  const bool proven = Enumeration(u, target, std::move(levels), max_nodes).Run(&x);
  for (int64_t j = 0; j < n; ++j)
    codes[j] = CodeOf(static_cast<float>(x[j]), solution->params[spec.ParamIndex(row, j, n)]);
  return proven;
}

}  // namespace

int64_t ClosestVector(Layer layer, const GridSpec& spec, Solution* solution,
                      const ClosestVectorOptions& options) {
  const int64_t n = solution->n;
  if (n > kClosestVectorColumns || solution->codes.empty() || IsLowRank(layer)) return 0;
  Solution found = *solution;
  std::vector<int64_t> proven(layer.size());
  ParallelFor(static_cast<int64_t>(layer.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      const Problem& p = layer[g];
      std::vector<double> u(p.H.begin(), p.H.end());
      Cholesky(n, kPivotFloor, &u);
      for (int64_t o = 0; o < p.m; ++o)
        proven[g] +=
            SolveRow(u, p.target.data() + o * n, spec, g * p.m + o, options.max_nodes, &found);
    }
  });
  Score(layer, spec, &found);
  KeepBetterRows(spec, found, found.errors, solution->errors, solution);
  int64_t total = 0;
  for (const int64_t rows : proven) total += rows;
  return total;
}

}  // namespace roundel::solver
