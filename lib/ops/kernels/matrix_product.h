#pragma once
// Plain matrix products: double sums for floats, wrapping sums for integers.

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

// Element (i, j) is data[i * row + j * column].
template <typename T>
struct Matrix {
  const T* data;
  int64_t row, column;
};

template <typename T>
using Sum = std::conditional_t<std::is_floating_point_v<T>, double, uint64_t>;

// y [m, n] = alpha * a [m, k] * b [k, n], b and y row-major; alpha applies to floats only. Parallel
// over rows.
template <typename T>
void Multiply(int64_t m, int64_t k, int64_t n, Matrix<T> a, const T* b, T* y, double alpha = 1.0) {
  ParallelFor(m, RowGrain(std::max<int64_t>(1, k) * n), [&](int64_t begin, int64_t end) {
    std::vector<Sum<T>> sums(static_cast<size_t>(n));
    for (int64_t i = begin; i < end; ++i) {
      std::fill(sums.begin(), sums.end(), Sum<T>{0});
      for (int64_t p = 0; p < k; ++p) {
        const auto factor = static_cast<Sum<T>>(a.data[i * a.row + p * a.column]);
        const T* row = b + p * n;
        for (int64_t j = 0; j < n; ++j) sums[j] += factor * static_cast<Sum<T>>(row[j]);
      }
      for (int64_t j = 0; j < n; ++j) {
        if constexpr (std::is_floating_point_v<T>)
          y[i * n + j] = static_cast<T>(alpha * sums[j]);
        else
          y[i * n + j] = static_cast<T>(sums[j]);
      }
    }
  });
}

// numpy.matmul: leading axes broadcast, a vector is a row (left) or a column (right).
struct BatchedProduct {
  Shape shape;  // of the result
  int64_t m, k, n;
  std::vector<int64_t> batch_a, batch_b;  // per result matrix: index of its operand matrices
};
Result<BatchedProduct> ResolveProduct(const Shape& a, const Shape& b);

template <typename T>
void MultiplyBatches(const BatchedProduct& p, const T* a, const T* b, T* y) {
  for (size_t i = 0; i < p.batch_a.size(); ++i)
    Multiply<T>(p.m, p.k, p.n, {a + p.batch_a[i] * p.m * p.k, p.k, 1}, b + p.batch_b[i] * p.k * p.n,
                y + static_cast<int64_t>(i) * p.m * p.n);
}

}  // namespace roundel::engine
