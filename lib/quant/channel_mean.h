#pragma once
// The mean of every channel of a stream of activations.

#include <cstdint>
#include <span>
#include <vector>

namespace roundel::quant {

class ChannelMean {
 public:
  // Values of [outer, channels, inner], the number of channels always the same. What one batch says
  // is summed up in a fixed order, whatever the number of threads.
  void Observe(std::span<const float> values, int64_t outer, int64_t channels, int64_t inner);
  // Adds what another one saw of the same channels.
  void Add(const ChannelMean& other);
  // Values seen of each channel.
  int64_t count() const { return count_; }
  std::vector<double> mean() const;

 private:
  std::vector<double> sum_;
  int64_t count_ = 0;
};

}  // namespace roundel::quant
