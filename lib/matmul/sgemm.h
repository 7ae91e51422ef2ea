#pragma once
// A float matrix product without a cached primitive, for products with shapes that change often.

#include <cstdint>

namespace roundel::engine {

// y [m, n] = a [m, k] * b [n, k]^T, all row-major.
void MultiplyTransposed(int64_t m, int64_t n, int64_t k, const float* a, const float* b, float* y);

}  // namespace roundel::engine
