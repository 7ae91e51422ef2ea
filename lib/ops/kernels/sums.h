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

// Sum of x[i] * y[i] over i in [0, n).
inline double DotOf(const float* x, const float* y, int64_t n) {
  constexpr int64_t kVectorLanes = 8;
  double lanes[kVectorLanes] = {};
  int64_t i = 0;
  for (; i + kVectorLanes <= n; i += kVectorLanes)
    for (int64_t k = 0; k < kVectorLanes; ++k)
      lanes[k] += static_cast<double>(x[i + k]) * static_cast<double>(y[i + k]);
  double total = 0;
  for (double lane : lanes) total += lane;
  for (; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  return total;
}

struct Moments {
  double mean, variance;  // population variance
};

inline Moments MomentsOf(const float* x, int64_t n) {
  if (n == 0) return {0, 0};
  const double mean = SumOf(x, n) / static_cast<double>(n);
  const double squares = SumOf(x, n, [mean](double v) { return (v - mean) * (v - mean); });
  return {mean, squares / static_cast<double>(n)};
}

}  // namespace roundel::engine
