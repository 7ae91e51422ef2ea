#pragma once
// The dense linear algebra of the solvers: a matrix product and a Cholesky factor, blocked,
// vectorized and parallel. Results do not depend on the number of threads.

#include <cstdint>
#include <vector>

namespace roundel::solver {

// A matrix in memory: element (i, j) is data[i * row_stride + j * column_stride].
template <typename T>
struct Strided {
  const T* data;
  int64_t row_stride, column_stride;
};

// C += alpha A^T B over k, with A [k, m] of any strides, B [k, n] and C [m, n] row-major with row
// strides ldb and ldc. Computes in T (float or double), for any types of A and B. `upper`
// skips tiles of C that lie entirely below the diagonal.
template <typename T, typename TA, typename TB>
void AddProduct(int64_t m, int64_t n, int64_t k, T alpha, Strided<TA> a, const TB* b, int64_t ldb,
                T* c, int64_t ldc, bool upper = false);

// B [k, n], packed once for many products.
class PackedMatrix {
 public:
  PackedMatrix(const float* b, int64_t k, int64_t n);
  int64_t rows() const { return k_; }
  int64_t columns() const { return n_; }
  // The packed rows from `from` on.
  const float* Piece(int64_t from) const { return data_.data() + from * width_; }

 private:
  int64_t k_, n_, width_;  // n_ rounded up to whole panels
  std::vector<float> data_;
};
// C += alpha A^T B
void AddProduct(int64_t m, float alpha, Strided<float> a, const PackedMatrix& b, float* c,
                int64_t ldc);

// A = U^T U of a symmetric positive semidefinite A [n, n], of which the upper triangle is read and
// overwritten by U. Pivots are kept above `floor` times the diagonal entry of A (a tiny ridge where
// A is singular); columns with a diagonal <= 0 get a unit row.
void Cholesky(int64_t n, double floor, std::vector<double>* a);

// Solves U^T U X = B in place; X, B [n, m] row-major.
void SolveCholesky(int64_t n, const std::vector<double>& u, int64_t m, std::vector<double>* x);

// sum a_i b_i
double Dot(const float* a, const float* b, int64_t n);
// y += alpha x
void AddScaled(float alpha, const float* x, float* y, int64_t n);

}  // namespace roundel::solver
