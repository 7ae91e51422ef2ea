#pragma once
// Products of a matrix with few vectors, as recurrent layers compute them at every step: the matrix
// is read once, in order of memory, and each thread always gets the same part of it, which stays in
// its cache.

#include <cstdint>

namespace roundel::engine {

// y[v, r] = sum_k matrix[r, k] * x[v, k] for r in [0, rows), v in [0, vectors); y has `y_stride`
// values per vector. Float sums over 16 lanes, the same for any number of threads and either
// direction. If a matrix slightly exceeds a cache, alternating directions are fastest.
void DotRows(const float* matrix, int64_t rows, int64_t n, const float* x, int64_t vectors,
             bool backwards, float* y, int64_t y_stride);

}  // namespace roundel::engine
