// Add of two values on 8-bit grids, in the arithmetic of ONNX Runtime's QLinearAdd on AVX2:
//
//   ra = scale_a / scale_y, rb = scale_b / scale_y, fixed = zy - fma(ra, za, rb * zb)
//   y = saturate(round_half_even(fma(a, ra, fma(b, rb, fixed))))
#pragma GCC optimize("O3")

#include <cmath>
#include <limits>

#include "lib/base/parallel.h"
#include "lib/engine/fast/vectorize.h"
#include "lib/engine/integer/codes.h"
#include "lib/engine/integer/kernels.h"

namespace roundel::engine {
namespace {

struct Terms {
  float ratio_a, ratio_b, fixed;
  bool signed_a, signed_b, signed_y;
};

template <typename A, typename B, typename Y>
inline __attribute__((always_inline)) void Loop(const Terms& t, const void* a, const void* b,
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
inline __attribute__((always_inline)) void Loop(const Terms& t, const void* a, const void* b,
                                                void* y, int64_t n) {
  if (t.signed_y)
    Loop<A, B, int8_t>(t, a, b, y, n);
  else
    Loop<A, B, uint8_t>(t, a, b, y, n);
}

ROUNDEL_VECTORIZE void AddRun(const Terms& t, const void* a, const void* b, void* y, int64_t n) {
  if (t.signed_a && t.signed_b)
    Loop<int8_t, int8_t>(t, a, b, y, n);
  else if (t.signed_a)
    Loop<int8_t, uint8_t>(t, a, b, y, n);
  else if (t.signed_b)
    Loop<uint8_t, int8_t>(t, a, b, y, n);
  else
    Loop<uint8_t, uint8_t>(t, a, b, y, n);
}

class IntegerAdd : public FastKernel {
 public:
  explicit IntegerAdd(const KernelSpec& spec) : result_(*spec.output_encoding) {
    const quant::Encoding &a = *spec.encodings[0], &b = *spec.encodings[1];
    const quant::QParams pa = a.params[0], pb = b.params[0], py = result_.params[0];
    terms_.ratio_a = pa.scale / py.scale;
    terms_.ratio_b = pb.scale / py.scale;
    const auto za = static_cast<float>(pa.zero_point), zb = static_cast<float>(pb.zero_point);
    terms_.fixed =
        static_cast<float>(py.zero_point) - std::fma(terms_.ratio_a, za, terms_.ratio_b * zb);
    terms_.signed_a = a.grid.is_signed;
    terms_.signed_b = b.grid.is_signed;
    terms_.signed_y = result_.grid.is_signed;
  }

  bool Run(FastContext& context) override {
    const Value *a = context.input(0), *b = context.input(1);
    if (!a || !b || a->shape != b->shape) return false;
    const Shape shape = a->shape;
    const Layout layout = b->layout == Layout::kChannelsLast ? b->layout : a->layout;
    const uint8_t* from_a = context.Codes(0, layout);
    const uint8_t* from_b = context.Codes(1, layout);
    uint8_t* to = from_a && from_b ? context.OutputCodes(shape, layout, result_) : nullptr;
    if (!to) return false;
    ParallelFor(NumElements(shape), 1 << 14, [&](int64_t begin, int64_t end) {
      AddRun(terms_, from_a + begin, from_b + begin, to + begin, end - begin);
    });
    return true;
  }

 private:
  const quant::Encoding& result_;
  Terms terms_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerAdd(const KernelSpec& spec) {
  if (spec.opset < 7 || spec.encodings.size() != 2 || !spec.post_ops.empty() ||
      !FitsBytes(spec.encodings[0]) || !FitsBytes(spec.encodings[1]) || spec.constants[0] ||
      spec.constants[1] || !FitsBytes(spec.output_encoding))
    return nullptr;
  return std::make_unique<IntegerAdd>(spec);
}

}  // namespace roundel::engine
