// An Objective from single columns (lib/solver/low_rank.h).

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/solver/linalg.h"
#include "lib/solver/problem.h"

namespace roundel::solver {
namespace {

// [n, count]: columns side by side, divided by the square root of their number, minus their mean if
// requested. A constant input is then zero.
std::vector<double> Normalized(const std::vector<float>& x, int64_t count, int64_t n,
                               bool centered) {
  std::vector<double> result(x.size());
  const auto columns = static_cast<double>(count);
  const double per = 1 / std::sqrt(columns);
  ParallelFor(n, 64, [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      double mean = 0, square = 0;
      for (int64_t k = 0; k < count; ++k) {
        const double v = x[k * n + j];
        mean += v / columns;
        square += v * v / columns;
      }
      const bool constant = square - mean * mean <= kVarianceNoise * square;
      const double factor = centered && constant ? 0 : per;
      for (int64_t k = 0; k < count; ++k)
        result[j * count + k] = factor * (x[k * n + j] - (centered ? mean : 0));
    }
  });
  return result;
}

// [m, count] W x.
std::vector<double> Outputs(std::span<const float> w, int64_t m, const std::vector<double>& x,
                            int64_t n, int64_t count) {
  std::vector<double> y(static_cast<size_t>(m * count));
  AddProduct(m, count, n, 1.0, Strided<float>{w.data(), 1, n}, x.data(), count, y.data(), count);
  return y;
}

std::vector<double> RowSquares(const std::vector<double>& values, int64_t rows, int64_t columns) {
  std::vector<double> squares(static_cast<size_t>(rows));
  for (int64_t o = 0; o < rows; ++o)
    for (int64_t k = 0; k < columns; ++k)
      squares[o] += values[o * columns + k] * values[o * columns + k];
  return squares;
}

// [m, n] misses x^T, for x [n, count].
std::vector<float> Correlation(const std::vector<double>& misses, int64_t m,
                               const std::vector<double>& x, int64_t n, int64_t count) {
  std::vector<double> across(x.size()), sums(static_cast<size_t>(m * n));
  for (int64_t j = 0; j < n; ++j)
    for (int64_t k = 0; k < count; ++k) across[k * n + j] = x[j * count + k];
  AddProduct(m, n, count, 1.0, Strided<double>{misses.data(), 1, count}, across.data(), n,
             sums.data(), n);
  return {sums.begin(), sums.end()};
}

Status CheckColumns(const Columns& columns) {
  for (const auto* values : {&columns.x, &columns.reference})
    for (const float v : *values)
      if (!std::isfinite(v))
        return DataError("the inputs of a layer are not finite on the calibration data");
  return OkStatus();
}

}  // namespace

Result<Objective> MakeObjective(const Columns& columns, std::span<const float> w, bool free_bias) {
  const int64_t n = columns.n, c = columns.count, m = n > 0 ? std::ssize(w) / n : 0;
  RETURN_IF_ERROR(CheckWeights(w, m, n));
  RETURN_IF_ERROR(CheckColumns(columns));
  Objective result{.n = n, .m = m, .count = static_cast<double>(c)};
  result.low_rank = {.columns = c, .ridge = std::vector<float>(static_cast<size_t>(n))};
  result.base.resize(static_cast<size_t>(m));
  result.power.resize(static_cast<size_t>(m));
  result.w.assign(w.begin(), w.end());
  if (c == 0) return result;
  const std::vector<double> x = Normalized(columns.x, c, n, free_bias);
  result.low_rank.u.assign(x.begin(), x.end());
  std::vector<double> y = Outputs(w, m, x, n, c), misses(y.size());
  if (!columns.reference.empty()) {
    misses = Outputs(w, m, Normalized(columns.reference, c, n, free_bias), n, c);
    y.swap(misses);  // y: of the float model; misses: the part that the other inputs explain
    for (size_t i = 0; i < y.size(); ++i) misses[i] = y[i] - misses[i];
    result.residual = Correlation(misses, m, x, n, c);
  } else {
    result.residual.resize(static_cast<size_t>(m * n));
  }
  result.power = RowSquares(y, m, c);
  result.base = RowSquares(misses, m, c);
  result.misses.assign(misses.begin(), misses.end());
  return result;
}

}  // namespace roundel::solver
