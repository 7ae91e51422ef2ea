#pragma GCC optimize("O3")

#include "lib/ops/kernels/dot_rows.h"

#include <algorithm>
#include <cstring>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"

namespace roundel::engine {
namespace {

constexpr int64_t kVectorLanes = 16, kRows = 4, kVectors = 4;
// Sixteen lanes on every machine: GCC splits the vector if registers are shorter.
using Lanes = float __attribute__((vector_size(kVectorLanes * sizeof(float))));

// By reference, because the calling convention of such vectors depends on the instruction set.
inline __attribute__((always_inline)) void Load(const float* from, Lanes& lanes) {
  std::memcpy(&lanes, from, sizeof lanes);
}
// By halving, which takes four additions instead of fifteen.
inline __attribute__((always_inline)) float Sum(const Lanes& lanes) {
  using Half = float __attribute__((vector_size(kVectorLanes / 2 * sizeof(float))));
  using Quarter = float __attribute__((vector_size(kVectorLanes / 4 * sizeof(float))));
  Half low, high;
  std::memcpy(&low, &lanes, sizeof low);
  std::memcpy(&high, reinterpret_cast<const char*>(&lanes) + sizeof low, sizeof high);
  low += high;
  Quarter first, second;
  std::memcpy(&first, &low, sizeof first);
  std::memcpy(&second, reinterpret_cast<const char*>(&low) + sizeof first, sizeof second);
  first += second;
  return (first[0] + first[2]) + (first[1] + first[3]);
}

// `rows` rows with `vectors` vectors at a time, so that loaded values are reused. Rows are
// contiguous. The next rows are prefetched during the computation, because the hardware prefetcher
// stops at the end of a row.
template <int64_t rows, int64_t vectors>
inline __attribute__((always_inline)) void Dot(const float* m, int64_t n, int64_t next,
                                               const float* x, float* y, int64_t y_stride) {
  Lanes sums[vectors][rows] = {};
  int64_t k = 0;
  for (; k + kVectorLanes <= n; k += kVectorLanes) {
    Lanes factors[vectors], row;
    for (int64_t v = 0; v < vectors; ++v) Load(x + v * n + k, factors[v]);
    for (int64_t r = 0; r < rows; ++r) {
      const float* at = m + r * n + k;
      Load(at, row);
      __builtin_prefetch(at + next);
      for (int64_t v = 0; v < vectors; ++v) sums[v][r] += row * factors[v];
    }
  }
  for (int64_t v = 0; v < vectors; ++v)
    for (int64_t r = 0; r < rows; ++r) {
      float sum = Sum(sums[v][r]);
      for (int64_t i = k; i < n; ++i) sum += m[r * n + i] * x[v * n + i];
      y[v * y_stride + r] = sum;
    }
}

template <int64_t rows>
inline __attribute__((always_inline)) void DotVectors(const float* m, int64_t n, int64_t next,
                                                      const float* x, int64_t vectors, float* y,
                                                      int64_t y_stride) {
  int64_t v = 0;
  for (; v + kVectors <= vectors; v += kVectors)
    Dot<rows, kVectors>(m, n, next, x + v * n, y + v * y_stride, y_stride);
  for (; v < vectors; ++v) Dot<rows, 1>(m, n, next, x + v * n, y + v * y_stride, y_stride);
}

// Products are fused with their sums if the processor can.
__attribute__((optimize("fp-contract=fast"))) ROUNDEL_VECTORIZE void DotRange(
    const float* matrix, int64_t begin, int64_t end, int64_t n, const float* x, int64_t vectors,
    bool backwards, float* y, int64_t y_stride) {
  const int64_t blocks = (end - begin) / kRows, tail = begin + blocks * kRows;
  const int64_t next = (backwards ? -kRows : kRows) * n;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t r = begin + (backwards ? blocks - 1 - i : i) * kRows;
    DotVectors<kRows>(matrix + r * n, n, next, x, vectors, y + r, y_stride);
  }
  for (int64_t r = tail; r < end; ++r)
    DotVectors<1>(matrix + r * n, n, n, x, vectors, y + r, y_stride);
}

}  // namespace

void DotRows(const float* matrix, int64_t rows, int64_t n, const float* x, int64_t vectors,
             bool backwards, float* y, int64_t y_stride) {
  // Waking threads at every step of a sequence costs as much as 2^18 products.
  const int64_t work = std::max<int64_t>(1, n * vectors);
  const int64_t least = (int64_t{1} << 17) / work;
  const int64_t grain = std::max<int64_t>(kRows, (least + kRows) / kRows * kRows);
  const int64_t chunks = (rows + grain - 1) / grain;
  ParallelFor(chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t chunk = backwards && Threads() == 1 ? chunks - 1 - i : i;
      DotRange(matrix, chunk * grain, std::min(rows, (chunk + 1) * grain), n, x, vectors, backwards,
               y, y_stride);
    }
  });
}

}  // namespace roundel::engine
