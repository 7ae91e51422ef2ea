#pragma once
// Sums of floats in double, in eight interleaved vector lanes: a fixed order.

#include <cstdint>

namespace roundel::engine {

// Sum of f(x[i]) over i in [0, n).
template <typename F>
double SumOf(const float* x, int64_t n, const F& f) {
  constexpr int64_t kVectorLanes = 8;
  double lanes[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes)
    for (int64_t k = 0; k < kVectorLanes; ++k) lanes[k] += f(static_cast<double>(x[i + k]));
  double total = 0;
  for (double lane : lanes) total += lane;
  for (; i < n; ++i) total += f(static_cast<double>(x[i]));
  return total;
}

inline double SumOf(const float* x, int64_t n) {
  return SumOf(x, n, [](double v) { return v; });
}

}  // namespace roundel::engine
