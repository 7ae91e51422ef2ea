#include "lib/base/vectorize.h"
ROUNDEL_FAST_LOOPS

#include "lib/solver/factor.h"

#include <algorithm>
#include <numeric>

#include "lib/base/parallel.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {
namespace {

// Below this share of its diagonal entry, a pivot of a matrix kept in float is noise.
constexpr double kPivotFloor = 2e-6;

ROUNDEL_VECTORIZE_FUSED
double WideDot(const double* a, const float* b, int64_t n) {
  double lanes[8] = {};
  int64_t k = 0;
  for (; k + 8 <= n; k += 8)
    for (int64_t l = 0; l < 8; ++l) lanes[l] += a[k + l] * b[k + l];
  for (; k < n; ++k) lanes[0] += a[k] * b[k];
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

ROUNDEL_VECTORIZE_FUSED
void SubtractScaled(double factor, const double* x, double* y, int64_t n) {
  for (int64_t k = 0; k < n; ++k) y[k] -= factor * x[k];
}

// With d the ridge and P_b the inverse of I + sum over a > b of u_a u_a^T / d_a, an error in column
// b costs T_b = d_b + u_b . P_b u_b after the later columns have compensated it, and these move by
// v . (sum of errors times u) with v_b = P_b u_b / T_b. P is computed from the last column to the
// first by rank-one updates (Sherman and Morrison): n columns^2 in all.
Factor LowRankFactor(const LowRank& h, std::vector<int64_t> order) {
  const int64_t n = h.n(), c = h.columns;
  Factor factor{.n = n, .order = std::move(order), .columns = c};
  factor.T.resize(static_cast<size_t>(n));
  factor.u.resize(static_cast<size_t>(n * c));
  factor.v.resize(static_cast<size_t>(n * c));
  std::vector<double> p(static_cast<size_t>(c * c)), pu(static_cast<size_t>(c));
  for (int64_t k = 0; k < c; ++k) p[k * c + k] = 1;
  for (int64_t b = n - 1; b >= 0; --b) {
    const int64_t column = factor.order[b];
    const float* u = h.Row(column);
    double cost = h.ridge[column];
    for (int64_t k = 0; k < c; ++k) {
      pu[k] = WideDot(p.data() + k * c, u, c);
      cost += pu[k] * u[k];
    }
    factor.T[b] = static_cast<float>(cost);
    std::copy_n(u, c, factor.u.begin() + b * c);
    if (!(cost > 0)) continue;
    for (int64_t k = 0; k < c; ++k) {
      factor.v[b * c + k] = static_cast<float>(pu[k] / cost);
      SubtractScaled(pu[k] / cost, pu.data(), p.data() + k * c, c);
    }
  }
  return factor;
}

}  // namespace

std::vector<int64_t> ColumnOrder(const Problem& problem, Order order) {
  return ColumnOrderOfBlocks(problem, std::max<int64_t>(1, problem.n), order);
}

std::vector<int64_t> ColumnOrderOfBlocks(const Problem& problem, int64_t block_size, Order order) {
  const int64_t n = problem.n;
  std::vector<int64_t> columns(static_cast<size_t>(n));
  std::iota(columns.begin(), columns.end(), 0);
  if (order == Order::kReversed) std::reverse(columns.begin(), columns.end());
  if (order != Order::kActivation) return columns;
  std::vector<double> diagonal, mean(static_cast<size_t>((n + block_size - 1) / block_size));
  for (int64_t j = 0; j < n; ++j) diagonal.push_back(problem.Diagonal(j));
  for (int64_t j = 0; j < n; ++j)
    mean[j / block_size] +=
        diagonal[static_cast<size_t>(j)] /
        static_cast<double>(std::min(block_size, n - j / block_size * block_size));
  std::stable_sort(columns.begin(), columns.end(), [&](int64_t a, int64_t b) {
    const int64_t block_a = a / block_size, block_b = b / block_size;
    if (block_a == block_b) return diagonal[a] > diagonal[b];
    if (mean[block_a] != mean[block_b]) return mean[block_a] > mean[block_b];
    return block_a < block_b;
  });
  return columns;
}

Factor MakeFactor(const Problem& problem, std::vector<int64_t> order) {
  if (problem.low_rank.used()) return LowRankFactor(problem.low_rank, std::move(order));
  const int64_t n = problem.n;
  Factor factor{.n = n, .order = std::move(order)};
  const std::vector<int64_t>& at = factor.order;
  // H with columns reversed is U^T U; read backwards, U^T is upper triangular.
  std::vector<double> u(static_cast<size_t>(n * n));
  ParallelFor(n, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* row = problem.H.data() + at[n - 1 - i] * n;
      for (int64_t j = i; j < n; ++j) u[i * n + j] = row[at[n - 1 - j]];
    }
  });
  Cholesky(n, kPivotFloor, &u);
  factor.S.resize(static_cast<size_t>(n * n));
  factor.T.resize(static_cast<size_t>(n));
  ParallelFor(n, 64, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const double* row = u.data() + (n - 1 - b) * n;
      const double pivot = row[n - 1 - b];
      const int64_t column = at[b];
      factor.T[b] = problem.H[column * n + column] > 0 ? static_cast<float>(pivot * pivot) : 0.0f;
      for (int64_t a = 0; a < b; ++a)
        factor.S[a * n + b] = static_cast<float>(row[n - 1 - a] / pivot);
    }
  });
  return factor;
}

}  // namespace roundel::solver
