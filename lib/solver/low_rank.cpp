#include "lib/solver/low_rank.h"

#include <algorithm>

#include "lib/base/check.h"
#include "lib/base/parallel.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {
namespace {

// [n] sums over the rows of [count, n].
std::vector<double> ColumnSums(const std::vector<float>& rows, int64_t count, int64_t n) {
  std::vector<double> sums(static_cast<size_t>(n));
  for (int64_t r = 0; r < count; ++r)
    for (int64_t j = 0; j < n; ++j) sums[j] += rows[r * n + j];
  return sums;
}

}  // namespace

void Columns::Observe(std::span<const float> x_rows, std::span<const float> reference_rows,
                      int64_t rows) {
  INVARIANT(static_cast<int64_t>(x_rows.size()) == rows * n, "columns of another length");
  const bool same =
      reference_rows.empty() ||
      std::equal(x_rows.begin(), x_rows.end(), reference_rows.begin(), reference_rows.end());
  if (!same && reference.empty()) reference = x;
  x.insert(x.end(), x_rows.begin(), x_rows.end());
  if (!same)
    reference.insert(reference.end(), reference_rows.begin(), reference_rows.end());
  else if (!reference.empty())
    reference.insert(reference.end(), x_rows.begin(), x_rows.end());
  count += rows;
}

void Columns::Add(const Columns& other) {
  INVARIANT(n == other.n, "columns of different layers");
  Observe(other.x, other.reference, other.count);
}

std::vector<double> BestBiasShift(const Columns& columns, std::span<const float> w,
                                  std::span<const float> w_hat) {
  const int64_t n = columns.n, m = n > 0 ? std::ssize(w) / n : 0;
  std::vector<double> shift(static_cast<size_t>(m));
  if (columns.count == 0) return shift;
  const std::vector<double> x = ColumnSums(columns.x, columns.count, n);
  const std::vector<double> reference =
      columns.reference.empty() ? x : ColumnSums(columns.reference, columns.count, n);
  for (int64_t o = 0; o < m; ++o) {
    double sum = 0;
    for (int64_t j = 0; j < n; ++j)
      sum += double{w[o * n + j]} * reference[j] - double{w_hat[o * n + j]} * x[j];
    shift[o] = sum / static_cast<double>(columns.count);
  }
  return shift;
}

double LowRank::Diagonal(int64_t j) const {
  return double{ridge[j]} + Dot(Row(j), Row(j), columns);
}

std::vector<float> LowRank::Block(int64_t begin, int64_t size) const {
  std::vector<float> block(static_cast<size_t>(size * size));
  for (int64_t i = 0; i < size; ++i) {
    for (int64_t j = i; j < size; ++j)
      block[i * size + j] = block[j * size + i] =
          static_cast<float>(Dot(Row(begin + i), Row(begin + j), columns));
    block[i * size + i] += ridge[begin + i];
  }
  return block;
}

std::vector<double> Project(const LowRank& h, const std::vector<double>& e, int64_t rows) {
  std::vector<double> projected(static_cast<size_t>(rows * h.columns));
  AddProduct(rows, h.columns, h.n(), 1.0, Strided<double>{e.data(), 1, h.n()}, h.u.data(),
             h.columns, projected.data(), h.columns);
  return projected;
}

std::vector<double> QuadraticForms(const LowRank& h, const std::vector<double>& e, int64_t rows) {
  const int64_t n = h.n();
  const std::vector<double> projected = Project(h, e, rows);
  std::vector<double> forms(static_cast<size_t>(rows));
  for (int64_t o = 0; o < rows; ++o) {
    double sum = 0;
    for (int64_t k = 0; k < h.columns; ++k) {
      const double v = projected[o * h.columns + k];
      sum += v * v;
    }
    for (int64_t j = 0; j < n; ++j) sum += double{h.ridge[j]} * e[o * n + j] * e[o * n + j];
    forms[o] = sum;
  }
  return forms;
}

void SolveLowRank(const LowRank& h, int64_t rows, std::vector<double>* b) {
  const int64_t n = h.n(), c = h.columns;
  for (int64_t o = 0; o < rows; ++o)
    for (int64_t j = 0; j < n; ++j) (*b)[o * n + j] /= h.ridge[j];
  if (c == 0) return;
  std::vector<double> scaled(static_cast<size_t>(n * c)), inner(static_cast<size_t>(c * c));
  for (int64_t j = 0; j < n; ++j)
    for (int64_t k = 0; k < c; ++k) scaled[j * c + k] = double{h.u[j * c + k]} / h.ridge[j];
  for (int64_t k = 0; k < c; ++k) inner[k * c + k] = 1;
  // I + u^T R^-1 u, then z = its inverse times u^T R^-1 b, and R^-1 b - R^-1 u z.
  AddProduct(c, c, n, 1.0, Strided<float>{h.u.data(), c, 1}, scaled.data(), c, inner.data(), c);
  Cholesky(c, 1e-12, &inner);
  const std::vector<double> projected = Project(h, *b, rows);
  std::vector<double> z(static_cast<size_t>(c * rows));
  for (int64_t o = 0; o < rows; ++o)
    for (int64_t k = 0; k < c; ++k) z[k * rows + o] = projected[o * c + k];
  SolveCholesky(c, inner, rows, &z);
  std::vector<double> across(static_cast<size_t>(c * n));  // R^-1 u, transposed
  for (int64_t j = 0; j < n; ++j)
    for (int64_t k = 0; k < c; ++k) across[k * n + j] = scaled[j * c + k];
  AddProduct(rows, n, c, -1.0, Strided<double>{z.data(), rows, 1}, across.data(), n, b->data(), n);
}

}  // namespace roundel::solver
