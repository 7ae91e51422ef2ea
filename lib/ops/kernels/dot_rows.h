#pragma once
// Products of a matrix with few vectors, as recurrent layers need them step after step: the matrix is
// read once, along memory, and the threads keep to their share of it, which stays in their caches.

#include <cstdint>

namespace roundel::engine {

// y[v, r] = sum_k matrix[r, k] * x[v, k] for r in [0, rows), v in [0, vectors); y has `y_stride`
// values per vector. Float sums over 16 lanes, the same whatever the number of threads and the
// direction: a matrix that just exceeds a cache is best read forwards and backwards in turns.
void DotRows(const float* matrix, int64_t rows, int64_t n, const float* x, int64_t vectors,
             bool backwards, float* y, int64_t y_stride);

}  // namespace roundel::engine
