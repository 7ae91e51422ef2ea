#pragma GCC optimize("O3")

#include "lib/ops/kernels/binary_codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "lib/base/vectorize.h"

namespace roundel::engine {
namespace {

using Terms = BinaryCodes::Terms;

struct Sum {
  static inline __attribute__((always_inline)) float Of(const Terms& t, int32_t p, int32_t q) {
    return __builtin_fmaf(static_cast<float>(p), t.ratio_p,
                          __builtin_fmaf(static_cast<float>(q), t.ratio_q, t.fixed));
  }
};

struct Product {
  static inline __attribute__((always_inline)) float Of(const Terms& t, int32_t p, int32_t q) {
    const float exact = (static_cast<float>(p) - t.zero_p) * (static_cast<float>(q) - t.zero_q);
    return exact * t.ratio + t.zero_y;
  }
};

template <typename Op, typename T, int kStepP, int kStepQ>
inline __attribute__((always_inline)) void Loop(const Terms& t, const T* p, const T* q, int64_t n,
                                                T* to) {
  constexpr float kLow = std::numeric_limits<T>::min(), kHigh = std::numeric_limits<T>::max();
  for (int64_t i = 0; i < n; ++i) {
    float y = Op::Of(t, p[i * kStepP], q[i * kStepQ]);
    y = y > kLow ? y : kLow;
    y = y < kHigh ? y : kHigh;
    to[i] = static_cast<T>(static_cast<int32_t>(__builtin_nearbyintf(y)));
  }
}

template <typename Op, typename T>
inline __attribute__((always_inline)) void Steps(const Terms& t, CodeRun p, CodeRun q, int64_t n,
                                                 void* y) {
  const auto *from_p = static_cast<const T*>(p.codes), *from_q = static_cast<const T*>(q.codes);
  auto* to = static_cast<T*>(y);
  if (p.step == 1 && q.step == 1)
    Loop<Op, T, 1, 1>(t, from_p, from_q, n, to);
  else if (p.step == 1)
    Loop<Op, T, 1, 0>(t, from_p, from_q, n, to);
  else
    Loop<Op, T, 0, 1>(t, from_p, from_q, n, to);
}

// Multiplication and addition are fused exactly where the source calls fma.
ROUNDEL_VECTORIZE_FUSED void Combine(BinaryCodeOp op, bool is_signed, const Terms& t, CodeRun p,
                                     CodeRun q, int64_t n, void* y) {
  if (op == BinaryCodeOp::kAdd)
    is_signed ? Steps<Sum, int8_t>(t, p, q, n, y) : Steps<Sum, uint8_t>(t, p, q, n, y);
  else
    is_signed ? Steps<Product, int8_t>(t, p, q, n, y) : Steps<Product, uint8_t>(t, p, q, n, y);
}

}  // namespace

BinaryCodes::BinaryCodes(BinaryCodeOp op, quant::QParams a, quant::QParams b, quant::QParams y,
                         bool is_signed)
    : op_(op), is_signed_(is_signed), terms_(TermsOf(a, b, y)), swapped_(TermsOf(b, a, y)) {}

Terms BinaryCodes::TermsOf(quant::QParams p, quant::QParams q, quant::QParams y) {
  Terms terms{.ratio_p = p.scale / y.scale, .ratio_q = q.scale / y.scale};
  terms.zero_p = static_cast<float>(p.zero_point);
  terms.zero_q = static_cast<float>(q.zero_point);
  terms.zero_y = static_cast<float>(y.zero_point);
  terms.fixed = terms.zero_y - std::fma(terms.ratio_p, terms.zero_p, terms.ratio_q * terms.zero_q);
  terms.ratio = p.scale * q.scale / y.scale;
  return terms;
}

void BinaryCodes::Run(CodeRun a, CodeRun b, bool b_first, int64_t n, void* y) const {
  const bool still = a.step == 0 && b.step == 0;
  if (still) b.step = 1;
  Combine(op_, is_signed_, b_first ? swapped_ : terms_, b_first ? b : a, b_first ? a : b,
          still ? std::min<int64_t>(n, 1) : n, y);
  if (still && n > 1) std::memset(y, *static_cast<const uint8_t*>(y), static_cast<size_t>(n));
}

}  // namespace roundel::engine
