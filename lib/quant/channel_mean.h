#pragma once
// The mean of every channel of a stream of activations.

#include <cstdint>
#include <span>
#include <vector>

namespace roundel::quant {

class ChannelMean {
 public:
  // Adds values of shape [outer, channels, inner]. Requires: the same `channels` in each call. The
  // order of summation is fixed: the result does not depend on the number of threads.
  void Observe(std::span<const float> values, int64_t outer, int64_t channels, int64_t inner);
  // Adds the sums of another ChannelMean of the same channels.
  void Add(const ChannelMean& other);
  // Number of values per channel.
  int64_t count() const { return count_; }
  std::vector<double> mean() const;

 private:
  std::vector<double> sum_;
  int64_t count_ = 0;
};

}  // namespace roundel::quant
