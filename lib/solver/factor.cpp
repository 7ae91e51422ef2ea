#include "lib/solver/factor.h"

#include <algorithm>
#include <numeric>

#include "lib/base/parallel.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {
namespace {

// Below this share of its diagonal entry, a pivot of a matrix kept in float is noise.
constexpr double kPivotFloor = 2e-6;

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
  std::vector<double> mean(static_cast<size_t>((n + block_size - 1) / block_size));
  for (int64_t j = 0; j < n; ++j)
    mean[j / block_size] +=
        double{problem.H[j * n + j]} /
        static_cast<double>(std::min(block_size, n - j / block_size * block_size));
  std::stable_sort(columns.begin(), columns.end(), [&](int64_t a, int64_t b) {
    const int64_t block_a = a / block_size, block_b = b / block_size;
    if (block_a == block_b) return problem.H[a * n + a] > problem.H[b * n + b];
    if (mean[block_a] != mean[block_b]) return mean[block_a] > mean[block_b];
    return block_a < block_b;
  });
  return columns;
}

Factor MakeFactor(const Problem& problem, std::vector<int64_t> order) {
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
