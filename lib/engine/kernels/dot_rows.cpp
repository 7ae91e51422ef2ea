#pragma GCC optimize("O3")

#include "lib/engine/kernels/dot_rows.h"

#include <algorithm>
#include <cstring>

#include "lib/base/parallel.h"
#include "lib/engine/fast/vectorize.h"

namespace roundel::engine {
namespace {

constexpr int64_t kLanes = 16, kRows = 4;
// Sixteen lanes whatever the machine has: GCC splits the vector where registers are shorter.
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

// (By reference: how such a vector is returned depends on the instruction set.)
inline __attribute__((always_inline)) void Load(const float* from, Lanes& lanes) {
  std::memcpy(&lanes, from, sizeof lanes);
}
inline __attribute__((always_inline)) float Sum(const Lanes& lanes) {
  float sum = 0;
  for (int64_t l = 0; l < kLanes; ++l) sum += lanes[l];
  return sum;
}

// `count` rows at a time: x is loaded once for all of them.
template <int64_t count>
inline __attribute__((always_inline)) void Dot(const float* m, int64_t n, const float* x, float* y) {
  Lanes sums[count] = {};
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    Lanes factor, row;
    Load(x + k, factor);
    for (int64_t r = 0; r < count; ++r) {
      Load(m + r * n + k, row);
      sums[r] += row * factor;
    }
  }
  for (int64_t r = 0; r < count; ++r) {
    float sum = Sum(sums[r]);
    for (int64_t i = k; i < n; ++i) sum += m[r * n + i] * x[i];
    y[r] = sum;
  }
}

ROUNDEL_VECTORIZE void DotRange(const float* matrix, int64_t begin, int64_t end, int64_t n,
                                const float* x, int64_t vectors, float* y, int64_t y_stride) {
  int64_t r = begin;
  for (; r + kRows <= end; r += kRows)
    for (int64_t v = 0; v < vectors; ++v) Dot<kRows>(matrix + r * n, n, x + v * n, y + v * y_stride + r);
  for (; r < end; ++r)
    for (int64_t v = 0; v < vectors; ++v)
      Dot<1>(matrix + r * n, n, x + v * n, y + v * y_stride + r);
}

}  // namespace

void DotRows(const float* matrix, int64_t rows, int64_t n, const float* x, int64_t vectors,
             float* y, int64_t y_stride) {
  // A region of threads costs about as much as 2^14 products.
  const int64_t work = std::max<int64_t>(1, n * vectors);
  const int64_t grain = std::max<int64_t>(kRows, ((1 << 14) / work + kRows) / kRows * kRows);
  ParallelFor(rows, grain, [&](int64_t begin, int64_t end) {
    DotRange(matrix, begin, end, n, x, vectors, y, y_stride);
  });
}

}  // namespace roundel::engine
