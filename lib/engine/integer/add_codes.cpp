#pragma GCC optimize("O3")

#include "lib/engine/integer/add_codes.h"

#include <cmath>
#include <limits>

#include "lib/base/vectorize.h"

namespace roundel::engine {
namespace {

template <typename A, typename B, typename Y>
inline __attribute__((always_inline)) void Loop(const AddTerms& t, const void* a, const void* b,
                                                void* y, int64_t n) {
  constexpr float kLow = std::numeric_limits<Y>::min(), kHigh = std::numeric_limits<Y>::max();
  const auto* from_a = static_cast<const A*>(a);
  const auto* from_b = static_cast<const B*>(b);
  auto* to = static_cast<Y*>(y);
  for (int64_t i = 0; i < n; ++i) {
    // A product of 8 and 24 bits is exact in double, so that one rounding is left: a fused multiply
    // and add on any machine.
    const auto first = static_cast<float>(static_cast<double>(from_b[i]) * t.ratio_b + t.fixed);
    float q = static_cast<float>(static_cast<double>(from_a[i]) * t.ratio_a + first);
    q = q > kLow ? q : kLow;
    q = q < kHigh ? q : kHigh;
    to[i] = static_cast<Y>(static_cast<int32_t>(__builtin_nearbyintf(q)));
  }
}

template <typename A, typename B>
inline __attribute__((always_inline)) void Loop(const AddTerms& t, const void* a, const void* b,
                                                void* y, int64_t n) {
  if (t.signed_y)
    Loop<A, B, int8_t>(t, a, b, y, n);
  else
    Loop<A, B, uint8_t>(t, a, b, y, n);
}

ROUNDEL_VECTORIZE void AddRun(const AddTerms& t, const void* a, const void* b, void* y, int64_t n) {
  if (t.signed_a && t.signed_b)
    Loop<int8_t, int8_t>(t, a, b, y, n);
  else if (t.signed_a)
    Loop<int8_t, uint8_t>(t, a, b, y, n);
  else if (t.signed_b)
    Loop<uint8_t, int8_t>(t, a, b, y, n);
  else
    Loop<uint8_t, uint8_t>(t, a, b, y, n);
}

}  // namespace

AddTerms AddTerms::For(const CodeGrid& a, const CodeGrid& b, const CodeGrid& y) {
  AddTerms terms{a.params.scale / y.params.scale,
                 b.params.scale / y.params.scale,
                 0,
                 a.is_signed,
                 b.is_signed,
                 y.is_signed};
  const auto za = static_cast<float>(a.params.zero_point);
  const auto zb = static_cast<float>(b.params.zero_point);
  terms.fixed =
      static_cast<float>(y.params.zero_point) - std::fma(terms.ratio_a, za, terms.ratio_b * zb);
  return terms;
}

void AddCodes(const AddTerms& terms, const void* a, const void* b, void* y, int64_t n) {
  AddRun(terms, a, b, y, n);
}

}  // namespace roundel::engine
