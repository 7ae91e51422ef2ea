#pragma GCC optimize("O3")

#include "lib/fast/integer/requantize.h"

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"

namespace roundel::engine {
namespace {

template <typename T>
inline __attribute__((always_inline)) void Loop(const int32_t* sums, const int32_t* bias,
                                                const float* multiplier, float low, float high,
                                                int32_t zero_point, int64_t rows, int64_t channels,
                                                T* to) {
  for (int64_t row = 0; row < rows; ++row, sums += channels, to += channels)
    for (int64_t c = 0; c < channels; ++c) {
      // Wraps around as ONNX Runtime does, without undefined behavior.
      const auto sum =
          static_cast<int32_t>(static_cast<uint32_t>(sums[c]) + static_cast<uint32_t>(bias[c]));
      float q = static_cast<float>(sum) * multiplier[c];
      q = q > low ? q : low;
      q = q < high ? q : high;
      to[c] = static_cast<T>(static_cast<int32_t>(__builtin_nearbyintf(q)) + zero_point);
    }
}

ROUNDEL_VECTORIZE void RequantizeRows(const Requantizer& r, const int32_t* sums, int64_t rows,
                                      uint8_t* to) {
  const auto low = static_cast<float>(r.low - r.zero_point);
  const auto high = static_cast<float>(r.high - r.zero_point);
  const auto channels = static_cast<int64_t>(r.bias.size());
  if (r.is_signed)
    Loop(sums, r.bias.data(), r.multiplier.data(), low, high, r.zero_point, rows, channels,
         reinterpret_cast<int8_t*>(to));
  else
    Loop(sums, r.bias.data(), r.multiplier.data(), low, high, r.zero_point, rows, channels, to);
}

}  // namespace

Requantizer Requantizer::For(const quant::Encoding& encoding, size_t channels) {
  return {.multiplier = std::vector<float>(channels),
          .bias = std::vector<int32_t>(channels),
          .zero_point = encoding.params[0].zero_point,
          .low = encoding.grid.qmin(),
          .high = encoding.grid.qmax(),
          .is_signed = encoding.grid.is_signed};
}

void Requantizer::Run(const int32_t* sums, int64_t rows, uint8_t* to) const {
  const auto channels = static_cast<int64_t>(bias.size());
  if (channels == 0) return;
  ParallelFor(rows, 1 + (1 << 14) / channels, [&](int64_t begin, int64_t end) {
    RequantizeRows(*this, sums + begin * channels, end - begin, to + begin * channels);
  });
}

}  // namespace roundel::engine
