#include "lib/base/vectorize.h"
ROUNDEL_FAST_LOOPS

#include <algorithm>
#include <cmath>

#include "lib/base/parallel.h"
#include "lib/solver/linalg.h"

namespace roundel::solver {
namespace {

// A tile of C is kTileRows vectors of 64 bytes: few enough registers for AVX2, enough independent
// sums for AVX-512. Panels of A and B are packed so that the innermost loop reads them in order.
constexpr int64_t kTileRows = 6;
constexpr int64_t kDepth = 256;                 // of one packed piece
constexpr int64_t kBlockRows = 16 * kTileRows;  // rows of C per piece of work
template <typename T>
constexpr int64_t kTileColumns = 64 / sizeof(T);

typedef float FloatVector __attribute__((vector_size(64), aligned(4), may_alias));
typedef double DoubleVector __attribute__((vector_size(64), aligned(8), may_alias));

// tile [kTileRows, one vector] = sum over k of a[k][row] * b[k][:]
ROUNDEL_VECTORIZE_FUSED
void MultiplyTile(const float* a, const float* b, int64_t k, float* tile) {
  FloatVector sum[kTileRows] = {};
  for (int64_t i = 0; i < k; ++i, a += kTileRows, b += kTileColumns<float>) {
    const FloatVector v = *reinterpret_cast<const FloatVector*>(b);
    for (int64_t r = 0; r < kTileRows; ++r) sum[r] += a[r] * v;
  }
  for (int64_t r = 0; r < kTileRows; ++r) reinterpret_cast<FloatVector*>(tile)[r] = sum[r];
}

ROUNDEL_VECTORIZE_FUSED
void MultiplyTile(const double* a, const double* b, int64_t k, double* tile) {
  DoubleVector sum[kTileRows] = {};
  for (int64_t i = 0; i < k; ++i, a += kTileRows, b += kTileColumns<double>) {
    const DoubleVector v = *reinterpret_cast<const DoubleVector*>(b);
    for (int64_t r = 0; r < kTileRows; ++r) sum[r] += a[r] * v;
  }
  for (int64_t r = 0; r < kTileRows; ++r) reinterpret_cast<DoubleVector*>(tile)[r] = sum[r];
}

// Columns [begin, begin + width) of `k` rows as [k][width], zeros after `end`.
template <typename T, typename S>
void Pack(Strided<S> from, int64_t k, int64_t begin, int64_t end, int64_t width, T* to) {
  const int64_t valid = std::min(width, end - begin);
  for (int64_t i = 0; i < k; ++i, to += width) {
    const S* row = from.data + i * from.row_stride + begin * from.column_stride;
    for (int64_t j = 0; j < valid; ++j) to[j] = static_cast<T>(row[j * from.column_stride]);
    for (int64_t j = valid; j < width; ++j) to[j] = T{0};
  }
}

template <typename T>
int64_t PaddedColumns(int64_t n) {
  return (n + kTileColumns<T> - 1) / kTileColumns<T> * kTileColumns<T>;
}

// All columns of `k` rows, panel by panel.
template <typename T, typename S>
void PackPanels(Strided<S> from, int64_t k, int64_t n, T* to) {
  constexpr int64_t kColumns = kTileColumns<T>;
  ParallelFor(PaddedColumns<T>(n) / kColumns, 16, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      Pack(from, k, p * kColumns, n, kColumns, to + p * kColumns * k);
  });
}

template <typename T, typename TA, typename TB>
void AddSmallProduct(int64_t m, int64_t n, int64_t k, T alpha, Strided<TA> a, const TB* b,
                     int64_t ldb, T* c, int64_t ldc) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t q = 0; q < k; ++q) {
      const T factor = alpha * static_cast<T>(a.data[q * a.row_stride + i * a.column_stride]);
      for (int64_t j = 0; j < n; ++j) c[i * ldc + j] += factor * static_cast<T>(b[q * ldb + j]);
    }
}

// Rows [begin, end) of C += alpha A^T B for one packed piece of B of depth k.
template <typename T, typename TA>
void AddBlockRows(int64_t begin, int64_t end, int64_t n, int64_t k, T alpha, Strided<TA> a,
                  const T* packed_b, T* c, int64_t ldc, bool upper) {
  constexpr int64_t kColumns = kTileColumns<T>;
  const int64_t tiles = (end - begin + kTileRows - 1) / kTileRows;
  std::vector<T> packed_a(static_cast<size_t>(tiles * kTileRows * k));
  for (int64_t t = 0; t < tiles; ++t)
    Pack(a, k, begin + t * kTileRows, end, kTileRows, packed_a.data() + t * kTileRows * k);
  T tile[kTileRows * kColumns];
  for (int64_t j = 0; j < n; j += kColumns) {
    const int64_t width = std::min(kColumns, n - j);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t i = begin + t * kTileRows;
      if (upper && j + width <= i) break;
      MultiplyTile(packed_a.data() + t * kTileRows * k, packed_b + j * k, k, tile);
      for (int64_t r = 0; r < std::min(kTileRows, end - i); ++r)
        for (int64_t l = 0; l < width; ++l)
          c[(i + r) * ldc + j + l] += alpha * tile[r * kColumns + l];
    }
  }
}

}  // namespace

template <typename T, typename TA, typename TB>
void AddProduct(int64_t m, int64_t n, int64_t k, T alpha, Strided<TA> a, const TB* b, int64_t ldb,
                T* c, int64_t ldc, bool upper) {
  if (m * n * k <= 4096) return AddSmallProduct(m, n, k, alpha, a, b, ldb, c, ldc);
  std::vector<T> packed(static_cast<size_t>(PaddedColumns<T>(n) * std::min(k, kDepth)));
  for (int64_t from = 0; from < k; from += kDepth) {
    const int64_t depth = std::min(kDepth, k - from);
    PackPanels(Strided<TB>{b + from * ldb, ldb, 1}, depth, n, packed.data());
    const Strided<TA> piece{a.data + from * a.row_stride, a.row_stride, a.column_stride};
    ParallelFor(m, kBlockRows, [&](int64_t begin, int64_t end) {
      AddBlockRows(begin, end, n, depth, alpha, piece, packed.data(), c, ldc, upper);
    });
  }
}

PackedMatrix::PackedMatrix(const float* b, int64_t k, int64_t n)
    : k_(k), n_(n), width_(PaddedColumns<float>(n)), data_(static_cast<size_t>(width_ * k)) {
  for (int64_t from = 0; from < k; from += kDepth)
    PackPanels(Strided<float>{b + from * n, n, 1}, std::min(kDepth, k - from), n,
               data_.data() + from * width_);
}

void AddProduct(int64_t m, float alpha, Strided<float> a, const PackedMatrix& b, float* c,
                int64_t ldc) {
  for (int64_t from = 0; from < b.rows(); from += kDepth) {
    const Strided<float> piece{a.data + from * a.row_stride, a.row_stride, a.column_stride};
    ParallelFor(m, kBlockRows, [&](int64_t begin, int64_t end) {
      AddBlockRows(begin, end, b.columns(), std::min(kDepth, b.rows() - from), alpha, piece,
                   b.Piece(from), c, ldc, false);
    });
  }
}

template void AddProduct(int64_t, int64_t, int64_t, float, Strided<float>, const float*, int64_t,
                         float*, int64_t, bool);
template void AddProduct(int64_t, int64_t, int64_t, double, Strided<double>, const double*, int64_t,
                         double*, int64_t, bool);
template void AddProduct(int64_t, int64_t, int64_t, double, Strided<double>, const float*, int64_t,
                         double*, int64_t, bool);
template void AddProduct(int64_t, int64_t, int64_t, double, Strided<float>, const double*, int64_t,
                         double*, int64_t, bool);
template void AddProduct(int64_t, int64_t, int64_t, double, Strided<float>, const float*, int64_t,
                         double*, int64_t, bool);

// ---- Cholesky

namespace {

constexpr int64_t kPanel = 96;          // rows of U at a time
constexpr int64_t kSolveColumns = 256;  // columns of a panel per piece of work

ROUNDEL_VECTORIZE_FUSED
void Subtract(double factor, const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] -= factor * x[i];
}

ROUNDEL_VECTORIZE_FUSED
void Scale(double factor, double* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

// U of the diagonal block [begin, end), in place.
void FactorBlock(int64_t n, int64_t begin, int64_t end, double floor,
                 const std::vector<double>& diagonal, double* a) {
  for (int64_t k = begin; k < end; ++k) {
    double* row = a + k * n;
    if (!(diagonal[k] > 0)) {
      row[k] = 1;
      std::fill(row + k + 1, row + n, 0.0);
      continue;
    }
    row[k] = std::sqrt(std::max(row[k], floor * diagonal[k]));
    Scale(1 / row[k], row + k + 1, end - k - 1);
    for (int64_t i = k + 1; i < end; ++i) Subtract(row[i], row + i, a + i * n + i, end - i);
  }
}

// Solves U_bb^T Y = B in place for columns [from, to) of rows [begin, end) of b.
void SolveBlock(int64_t n, const double* u, int64_t begin, int64_t end, double* b, int64_t ldb,
                int64_t from, int64_t to) {
  for (int64_t k = begin; k < end; ++k) {
    double* row = b + k * ldb;
    Scale(1 / u[k * n + k], row + from, to - from);
    for (int64_t i = k + 1; i < end; ++i)
      Subtract(u[k * n + i], row + from, b + i * ldb + from, to - from);
  }
}

}  // namespace

void Cholesky(int64_t n, double floor, std::vector<double>* matrix) {
  double* a = matrix->data();
  std::vector<double> diagonal(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) diagonal[i] = a[i * n + i];
  for (int64_t begin = 0; begin < n; begin += kPanel) {
    const int64_t end = std::min(n, begin + kPanel), rest = n - end;
    FactorBlock(n, begin, end, floor, diagonal, a);
    ParallelFor(rest, kSolveColumns, [&](int64_t from, int64_t to) {
      SolveBlock(n, a, begin, end, a, n, end + from, end + to);
    });
    if (rest > 0)
      AddProduct(rest, rest, end - begin, -1.0, Strided<double>{a + begin * n + end, n, 1},
                 a + begin * n + end, n, a + end * n + end, n, true);
  }
}

void SolveCholesky(int64_t n, const std::vector<double>& u, int64_t m, std::vector<double>* x) {
  double* b = x->data();
  for (int64_t begin = 0; begin < n; begin += kPanel) {  // U^T Y = B, downwards
    const int64_t end = std::min(n, begin + kPanel);
    AddProduct(end - begin, m, begin, -1.0, Strided<double>{u.data() + begin, n, 1}, b, m,
               b + begin * m, m);
    ParallelFor(m, kSolveColumns, [&](int64_t from, int64_t to) {
      SolveBlock(n, u.data(), begin, end, b, m, from, to);
    });
  }
  for (int64_t end = n; end > 0;) {  // U X = Y, upwards
    const int64_t begin = (end - 1) / kPanel * kPanel;
    AddProduct(end - begin, m, n - end, -1.0, Strided<double>{u.data() + begin * n + end, 1, n},
               b + end * m, m, b + begin * m, m);
    ParallelFor(m, kSolveColumns, [&](int64_t from, int64_t to) {
      for (int64_t k = end; k-- > begin;) {
        Scale(1 / u[k * n + k], b + k * m + from, to - from);
        for (int64_t i = begin; i < k; ++i)
          Subtract(u[i * n + k], b + k * m + from, b + i * m + from, to - from);
      }
    });
    end = begin;
  }
}

ROUNDEL_VECTORIZE_FUSED
double Dot(const float* a, const float* b, int64_t n) {
  double lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int64_t l = 0; l < 8; ++l)
      lanes[l] += static_cast<double>(a[i + l]) * static_cast<double>(b[i + l]);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

ROUNDEL_VECTORIZE_FUSED
void AddScaled(float alpha, const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += alpha * x[i];
}

}  // namespace roundel::solver
