#pragma GCC optimize("O3")

#include "lib/quant/channel_mean.h"

#include <algorithm>

#include "lib/base/parallel.h"

namespace roundel::quant {
namespace {

using Sums = std::vector<double>;

// Number of floats that a float sums without a relevant loss of accuracy.
constexpr int64_t kRun = 256;

// Rows of `channels` values.
void AddRows(const float* from, int64_t rows, int64_t channels, Sums* sums) {
  std::vector<float> partial(static_cast<size_t>(channels));
  for (int64_t first = 0; first < rows; first += kRun) {
    std::fill(partial.begin(), partial.end(), 0.0f);
    float* to = partial.data();
    for (int64_t row = first; row < std::min(rows, first + kRun); ++row, from += channels)
      for (int64_t c = 0; c < channels; ++c) to[c] += from[c];
    for (size_t c = 0; c < partial.size(); ++c) (*sums)[c] += partial[c];
  }
}

// Blocks of `inner` values of one channel each.
void AddBlocks(const float* from, int64_t outer, int64_t channels, int64_t inner, Sums* sums) {
  for (int64_t i = 0; i < outer * channels; ++i, from += inner) {
    double sum = 0;
    for (int64_t k = 0; k < inner; ++k) sum += from[k];
    (*sums)[static_cast<size_t>(i % channels)] += sum;
  }
}

}  // namespace

void ChannelMean::Observe(std::span<const float> values, int64_t outer, int64_t channels,
                          int64_t inner) {
  if (channels == 0) return;
  const int64_t per_outer = channels * inner;
  const int64_t grain = 1 + (1 << 16) / (1 + per_outer);
  const Sums zeros(static_cast<size_t>(channels));
  const Sums sums = ParallelReduce(
      outer, grain, zeros,
      [&](int64_t begin, int64_t end) {
        Sums part = zeros;
        const float* from = values.data() + begin * per_outer;
        if (inner == 1)
          AddRows(from, end - begin, channels, &part);
        else
          AddBlocks(from, end - begin, channels, inner, &part);
        return part;
      },
      [](Sums a, const Sums& b) {
        for (size_t c = 0; c < a.size(); ++c) a[c] += b[c];
        return a;
      });
  sum_.resize(static_cast<size_t>(channels));
  for (size_t c = 0; c < sums.size(); ++c) sum_[c] += sums[c];
  count_ += outer * inner;
}

void ChannelMean::Add(const ChannelMean& other) {
  if (sum_.size() < other.sum_.size()) sum_.resize(other.sum_.size());
  for (size_t c = 0; c < other.sum_.size(); ++c) sum_[c] += other.sum_[c];
  count_ += other.count_;
}

std::vector<double> ChannelMean::mean() const {
  std::vector<double> mean = sum_;
  for (double& m : mean) m /= static_cast<double>(count_ > 0 ? count_ : 1);
  return mean;
}

}  // namespace roundel::quant
