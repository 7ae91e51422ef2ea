#include "lib/tensor/half.h"

#include "lib/tensor/dtype.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace roundel {
namespace {

#if defined(__x86_64__)
// Both return how many values they converted: whole groups of eight.
__attribute__((target("avx2,f16c"))) int64_t HalveEights(const float* from, int64_t n,
                                                         uint16_t* to) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
  return i;
}
__attribute__((target("avx2,f16c"))) int64_t DoubleEights(const uint16_t* from, int64_t n,
                                                          float* to) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(to + i,
                     _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i))));
  return i;
}
// __builtin_cpu_supports knows the name f16c since clang 15; its answer for avx2 says whether the
// system saves the wide registers.
bool HasF16c() {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __builtin_cpu_supports("avx2") && __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
  }();
  return has;
}
#else
int64_t HalveEights(const float*, int64_t, uint16_t*) { return 0; }
int64_t DoubleEights(const uint16_t*, int64_t, float*) { return 0; }
bool HasF16c() { return false; }
#endif

}  // namespace

void FloatsToHalves(const float* from, int64_t n, uint16_t* to) {
  for (int64_t i = HasF16c() ? HalveEights(from, n, to) : 0; i < n; ++i)
    to[i] = FloatToHalf(from[i]);
}

void HalvesToFloats(const uint16_t* from, int64_t n, float* to) {
  for (int64_t i = HasF16c() ? DoubleEights(from, n, to) : 0; i < n; ++i)
    to[i] = HalfToFloat(from[i]);
}

}  // namespace roundel
