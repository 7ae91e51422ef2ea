#pragma GCC optimize("O3")

#include "lib/fast/integer/codes.h"

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"

namespace roundel::engine {
namespace {

constexpr int64_t kGrain = 1 << 14;

template <typename T>
inline __attribute__((always_inline)) void EncodeLoop(const float* from, float scale,
                                                      int32_t zero_point, float low, float high,
                                                      T* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    float q = __builtin_nearbyintf(from[i] / scale);
    q = q > low ? q : low;
    q = q < high ? q : high;
    to[i] = static_cast<T>(static_cast<int32_t>(q) + zero_point);
  }
}

ROUNDEL_VECTORIZE void Encode(const float* from, float scale, int32_t zero_point, float low,
                              float high, void* to, bool is_signed, int64_t n) {
  if (is_signed)
    EncodeLoop(from, scale, zero_point, low, high, static_cast<int8_t*>(to), n);
  else
    EncodeLoop(from, scale, zero_point, low, high, static_cast<uint8_t*>(to), n);
}

template <typename T>
inline __attribute__((always_inline)) void DecodeLoop(const T* from, float scale,
                                                      int32_t zero_point, float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    to[i] = static_cast<float>(static_cast<int32_t>(from[i]) - zero_point) * scale;
}

ROUNDEL_VECTORIZE void Decode(const void* from, float scale, int32_t zero_point, float* to,
                              bool is_signed, int64_t n) {
  if (is_signed)
    DecodeLoop(static_cast<const int8_t*>(from), scale, zero_point, to, n);
  else
    DecodeLoop(static_cast<const uint8_t*>(from), scale, zero_point, to, n);
}

}  // namespace

static bool OnByteGrid(const quant::Encoding& encoding) {
  return encoding.granularity == quant::Granularity::kTensor && encoding.grid.bits == 8 &&
         encoding.grid.is_uniform() && encoding.params.size() == 1 && encoding.params[0].scale > 0;
}

bool FitsBytes(const quant::Encoding* encoding) {
  return encoding && OnByteGrid(*encoding) && !encoding->codes;
}

bool HoldsBytes(const quant::Encoding* encoding) {
  return encoding && OnByteGrid(*encoding) && encoding->codes &&
         encoding->codes->dtype() == encoding->grid.storage_type();
}

std::optional<CodeRange> BoundedCodes(std::span<const PostOp> ops, const quant::Encoding& result) {
  CodeRange range{result.grid.qmin(), result.grid.qmax()};
  const auto code = [&](float x) {
    return quant::Quantize(x, result.params[0], result.grid.qmin(), result.grid.qmax());
  };
  for (const PostOp& op : ops) {
    // Rounding is monotone: the code of a clipped value is the clipped code.
    if (op.kind == PostOpKind::kRelu && op.alpha == 0) {
      range.low = std::max(range.low, code(0));
    } else if (op.kind == PostOpKind::kClip) {
      range.low = std::max(range.low, code(op.alpha));
      range.high = std::min(range.high, code(op.beta));
    } else {
      return std::nullopt;
    }
  }
  if (range.low > range.high) return std::nullopt;
  return range;
}

bool KeepsWholeRange(const KernelSpec& spec, const quant::Encoding& result) {
  const auto range = BoundedCodes(std::span(spec.post_ops).subspan(spec.main_ops), result);
  return range && range->low == result.grid.qmin() && range->high == result.grid.qmax();
}

void EncodeBytes(const float* from, const quant::Encoding& encoding, int64_t n, void* to) {
  const quant::QParams p = encoding.params[0];
  const auto low = static_cast<float>(encoding.grid.qmin() - p.zero_point);
  const auto high = static_cast<float>(encoding.grid.qmax() - p.zero_point);
  ParallelFor(n, kGrain, [&](int64_t begin, int64_t end) {
    Encode(from + begin, p.scale, p.zero_point, low, high, static_cast<char*>(to) + begin,
           encoding.grid.is_signed, end - begin);
  });
}

void DecodeBytes(const void* from, const quant::Encoding& encoding, int64_t n, float* to) {
  const quant::QParams p = encoding.params[0];
  ParallelFor(n, kGrain, [&](int64_t begin, int64_t end) {
    Decode(static_cast<const char*>(from) + begin, p.scale, p.zero_point, to + begin,
           encoding.grid.is_signed, end - begin);
  });
}

}  // namespace roundel::engine
