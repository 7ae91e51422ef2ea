#include "lib/solver/problem.h"

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/base/text.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {
namespace {

// Below this share of its diagonal entry, a pivot of a matrix kept in float is noise.
constexpr double kPivotFloor = 1e-6;

// A constant input also gets a ridge, of this share of the mean, so that its weights are rounded to
// near values.
constexpr double kDeadShare = 1e-3;

// With fewer columns than inputs H is singular: a ridge of at least this share makes it regular.
constexpr double kMinRidge = 1e-6;

// [n] marks constant inputs; their weights have no effect on the centered errors.
std::vector<bool> Constants(const Gram& gram) {
  std::vector<bool> constant(static_cast<size_t>(gram.n));
  for (int64_t i = 0; i < gram.n; ++i) {
    const double square = gram.xx[i * gram.n + i] / gram.count, mean = gram.x[i] / gram.count;
    constant[static_cast<size_t>(i)] = square - mean * mean <= kVarianceNoise * square;
  }
  return constant;
}

// Both triangles of the mean of x x^T, centered if requested.
std::vector<double> MeanSquare(const Gram& gram, bool centered) {
  const int64_t n = gram.n;
  std::vector<double> H(static_cast<size_t>(n * n));
  const double per = 1 / gram.count, mean_per = centered ? per * per : 0;
  const std::vector<bool> constant =
      centered ? Constants(gram) : std::vector<bool>(static_cast<size_t>(n));
  ParallelFor(n, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t j = i; j < n; ++j) {
        const bool none = constant[static_cast<size_t>(i)] || constant[static_cast<size_t>(j)];
        const double v = gram.xx[i * n + j] * per - gram.x[i] * gram.x[j] * mean_per;
        H[i * n + j] = H[j * n + i] = none ? 0 : i == j ? std::max(v, 0.0) : v;
      }
  });
  return H;
}

// [m, n] W H, in double.
std::vector<double> Times(std::span<const float> w, const std::vector<double>& H, int64_t m,
                          int64_t n) {
  std::vector<double> wide(w.begin(), w.end()), product(static_cast<size_t>(m * n));
  AddProduct(m, n, n, 1.0, Strided<double>{wide.data(), 1, n}, H.data(), n, product.data(), n);
  return product;
}

double RowDot(const double* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t j = 0; j < n; ++j) sum += a[j] * double{b[j]};
  return sum;
}

// residual, base and power from the targets, given W H. base = mean y^2 - 2 w d + w H w.
void FillTargets(const Gram& gram, bool centered, const std::vector<double>& wh, Objective* to) {
  const int64_t n = gram.n;
  const double per = 1 / gram.count;
  to->residual.resize(static_cast<size_t>(gram.m * n));
  for (int64_t o = 0; o < gram.m; ++o) {
    const double mean = centered ? gram.y[o] * per : 0;
    const float* w = to->w.data() + o * n;
    double base = 0;
    for (int64_t j = 0; j < n; ++j) {
      if (to->H[j * n + j] == 0) continue;
      const double d = (gram.yx[o * n + j] - mean * gram.x[j]) * per;
      to->residual[o * n + j] = static_cast<float>(d - wh[o * n + j]);
      base += (wh[o * n + j] - 2 * d) * double{w[j]};
    }
    to->power[o] = std::max(0.0, gram.yy[o] * per - mean * mean);
    to->base[o] = std::max(0.0, to->power[o] + base);
  }
}

// [rows] e^T H e for errors e [rows, n].
std::vector<double> QuadraticForms(const std::vector<float>& H, const std::vector<double>& e,
                                   int64_t rows, int64_t n) {
  std::vector<double> forms(static_cast<size_t>(rows));
  constexpr int64_t kRows = 192;
  for (int64_t from = 0; from < rows; from += kRows) {
    const int64_t run = std::min(kRows, rows - from);
    std::vector<double> eh(static_cast<size_t>(run * n));
    AddProduct(run, n, n, 1.0, Strided<double>{e.data() + from * n, 1, n}, H.data(), n, eh.data(),
               n);
    for (int64_t o = 0; o < run; ++o) {
      double sum = 0;
      for (int64_t j = 0; j < n; ++j) sum += eh[o * n + j] * e[(from + o) * n + j];
      forms[from + o] = std::max(0.0, sum);
    }
  }
  return forms;
}

std::vector<double> QuadraticForms(const LowRank& low_rank, const std::vector<float>& H,
                                   const std::vector<double>& e, int64_t rows, int64_t n) {
  return low_rank.used() ? QuadraticForms(low_rank, e, rows) : QuadraticForms(H, e, rows, n);
}

std::vector<double> Difference(std::span<const float> a, std::span<const float> b) {
  std::vector<double> difference(a.size());
  for (size_t i = 0; i < a.size(); ++i) difference[i] = double{a[i]} - double{b[i]};
  return difference;
}

double Diagonal(const Objective& objective, int64_t i) {
  return objective.low_rank.used() ? objective.low_rank.Diagonal(i)
                                   : double{objective.H[i * objective.n + i]};
}

double MeanDiagonal(const Objective& objective) {
  double sum = 0;
  for (int64_t i = 0; i < objective.n; ++i) sum += Diagonal(objective, i);
  return objective.n > 0 ? sum / static_cast<double>(objective.n) : 0;
}

void SetIdentity(bool low_rank, Problem* problem) {
  if (low_rank) {
    problem->low_rank = {.ridge = std::vector<float>(static_cast<size_t>(problem->n), 1.0f)};
    return;
  }
  problem->H.assign(static_cast<size_t>(problem->n * problem->n), 0.0f);
  for (int64_t i = 0; i < problem->n; ++i) problem->H[i * problem->n + i] = 1;
}

// Adds (H + R)^-1 residual to the target, which holds w.
void MoveTarget(const Objective& objective, Problem* problem) {
  const int64_t n = problem->n, m = problem->m;
  if (problem->low_rank.used()) {
    std::vector<double> moves(objective.residual.begin(), objective.residual.end());
    SolveLowRank(problem->low_rank, m, &moves);
    for (size_t i = 0; i < moves.size(); ++i)
      problem->target[i] = static_cast<float>(double{problem->w[i]} + moves[i]);
    return;
  }
  std::vector<double> factor(problem->H.begin(), problem->H.end());
  // A ridge of the size of float noise: parts of the target for which H is zero do not change.
  for (int64_t i = 0; i < n; ++i) factor[i * n + i] *= 1 + 2 * kPivotFloor;
  Cholesky(n, kPivotFloor, &factor);
  std::vector<double> delta(static_cast<size_t>(n * m));
  for (int64_t o = 0; o < m; ++o)
    for (int64_t j = 0; j < n; ++j) delta[j * m + o] = objective.residual[o * n + j];
  SolveCholesky(n, factor, m, &delta);
  for (int64_t o = 0; o < m; ++o)
    for (int64_t j = 0; j < n; ++j)
      problem->target[o * n + j] =
          static_cast<float>(double{problem->w[o * n + j]} + delta[j * m + o]);
}

}  // namespace

Status CheckWeights(std::span<const float> w, int64_t m, int64_t n) {
  if (static_cast<int64_t>(w.size()) != m * n)
    return ModelError(StrCat("a weight of ", w.size(), " values for ", m, " x ", n));
  for (const float v : w)
    if (!std::isfinite(v)) return ModelError("a weight is not finite");
  return OkStatus();
}

Result<Objective> MakeObjective(const Gram& gram, std::span<const float> w, bool free_bias) {
  RETURN_IF_ERROR(CheckGram(gram));
  RETURN_IF_ERROR(CheckWeights(w, gram.m, gram.n));
  const int64_t n = gram.n, m = gram.m;
  Objective result{.n = n, .m = m, .count = gram.count};
  result.w.assign(w.begin(), w.end());
  result.base.resize(static_cast<size_t>(m));
  result.power.resize(static_cast<size_t>(m));
  if (!(gram.count > 0)) {
    result.H.resize(static_cast<size_t>(n * n));
    return result;
  }
  const std::vector<double> H = MeanSquare(gram, free_bias);
  result.H.assign(H.begin(), H.end());
  const std::vector<double> wh = Times(w, H, m, n);
  if (gram.asymmetric())
    FillTargets(gram, free_bias, wh, &result);
  else
    for (int64_t o = 0; o < m; ++o)
      result.power[o] = std::max(0.0, RowDot(wh.data() + o * n, w.data() + o * n, n));
  return result;
}

namespace {

// By column: with fewer columns than inputs the sum can be much smaller than its terms.
std::vector<double> ErrorsOfColumns(const Objective& objective, const std::vector<double>& e) {
  const int64_t c = objective.low_rank.columns;
  const std::vector<double> moved = Project(objective.low_rank, e, objective.m);
  std::vector<double> errors(static_cast<size_t>(objective.m));
  for (int64_t o = 0; o < objective.m; ++o)
    for (int64_t k = 0; k < c; ++k) {
      const double miss = double{objective.misses[o * c + k]} - moved[o * c + k];
      errors[o] += miss * miss;
    }
  return errors;
}

}  // namespace

std::vector<double> OutputErrors(const Objective& objective, std::span<const float> w_hat) {
  INVARIANT(w_hat.size() == objective.w.size(), "weights of another layer");
  const std::vector<double> e = Difference(w_hat, objective.w);
  if (objective.low_rank.used()) return ErrorsOfColumns(objective, e);
  std::vector<double> errors = QuadraticForms(objective.H, e, objective.m, objective.n);
  if (objective.residual.empty()) return errors;
  for (int64_t o = 0; o < objective.m; ++o)
    errors[o] =
        std::max(0.0, errors[o] + objective.base[o] -
                          2 * RowDot(e.data() + o * objective.n,
                                     objective.residual.data() + o * objective.n, objective.n));
  return errors;
}

bool SetRidge(const Objective& objective, double ridge, Problem* problem) {
  const int64_t n = objective.n;
  const double mean = MeanDiagonal(objective);
  if (!(objective.count > 0) || !(mean > 0)) {
    SetIdentity(objective.low_rank.used(), problem);
    return false;
  }
  if (objective.low_rank.used()) {
    problem->low_rank = objective.low_rank;
    for (int64_t i = 0; i < n; ++i)
      problem->low_rank.ridge[i] = static_cast<float>(std::max(ridge, kMinRidge) *
                                                      (Diagonal(objective, i) + kDeadShare * mean));
    return true;
  }
  problem->H = objective.H;
  for (int64_t i = 0; i < n; ++i) {
    float& h = problem->H[i * n + i];
    h = static_cast<float>(h + ridge * (h + kDeadShare * mean));
  }
  return true;
}

Result<Problem> MakeProblem(const Objective& objective, const ProblemOptions& options) {
  const int64_t n = objective.n;
  Problem problem{.m = objective.m, .n = n, .target = objective.w, .w = objective.w};
  const double ridge = std::clamp(static_cast<double>(n) / objective.count, options.ridge_min,
                                  std::max(options.ridge_min, options.ridge_max));
  if (!SetRidge(objective, ridge, &problem)) return problem;
  if (options.asymmetric && !objective.residual.empty()) MoveTarget(objective, &problem);
  for (size_t i = 0; i < problem.target.size(); ++i)
    if (!std::isfinite(problem.target[i]))
      return DataError("the statistics of a layer are too large to be solved in float");
  for (const float h : problem.low_rank.used() ? problem.low_rank.u : problem.H)
    if (!std::isfinite(h))
      return DataError("the statistics of a layer are too large to be solved in float");
  return problem;
}

Result<Problem> MakeProblem(const Gram& gram, std::span<const float> w,
                            const ProblemOptions& options) {
  ASSIGN_OR_RETURN(const Objective objective, MakeObjective(gram, w, options.free_bias));
  return MakeProblem(objective, options);
}

std::vector<double> RowErrors(const Problem& problem, std::span<const float> w_hat) {
  INVARIANT(w_hat.size() == problem.target.size(), "weights of another layer");
  return QuadraticForms(problem.low_rank, problem.H, Difference(w_hat, problem.target), problem.m,
                        problem.n);
}

}  // namespace roundel::solver
