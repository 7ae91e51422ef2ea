#include "lib/ops/kernels/softmax_codes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace roundel::engine {

SoftmaxCodes::SoftmaxCodes(quant::QParams x, quant::QParams y, bool is_signed, int64_t length)
    : levels_(std::floor(1.0f / y.scale)),
      zero_point_(y.zero_point),
      is_signed_(is_signed),
      length_(length) {
  // e^5 below the largest float leaves room for the sum, and for its product with the levels.
  const float room =
      std::numeric_limits<float>::max() / static_cast<float>(std::max<int64_t>(1, length));
  const double shift = std::max(0.0, static_cast<double>(std::log(room)) - 5) / x.scale;
  for (int d = -255; d <= 0; ++d)
    exponentials_[static_cast<size_t>(d + 255)] =
        static_cast<float>(std::exp((d + shift) * static_cast<double>(x.scale)));
}

template <typename T>
void SoftmaxCodes::RunRow(const T* x, int64_t stride, T* y) const {
  constexpr int32_t kLow = std::numeric_limits<T>::min(), kHigh = std::numeric_limits<T>::max();
  if (length_ == 0) return;
  T largest = x[0];
  for (int64_t i = 1; i < length_; ++i) largest = std::max(largest, x[i * stride]);
  const float* exponentials = exponentials_.data() + 255 - largest;
  float sum = 0;
  for (int64_t i = 0; i < length_; ++i) sum += exponentials[x[i * stride]];
  for (int64_t i = 0; i < length_; ++i) {
    const float steps = exponentials[x[i * stride]] * levels_ / sum;
    // NaN, from 0 times the infinite levels of a tiny scale, counts as 0.
    const auto code =
        steps > 0 ? static_cast<int64_t>(std::nearbyint(std::min(steps, 65536.0f))) : 0;
    y[i * stride] = static_cast<T>(std::clamp<int64_t>(code + zero_point_, kLow, kHigh));
  }
}

void SoftmaxCodes::Run(const void* x, int64_t stride, void* y) const {
  if (is_signed_)
    RunRow(static_cast<const int8_t*>(x), stride, static_cast<int8_t*>(y));
  else
    RunRow(static_cast<const uint8_t*>(x), stride, static_cast<uint8_t*>(y));
}

}  // namespace roundel::engine
