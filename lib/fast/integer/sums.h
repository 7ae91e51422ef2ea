#pragma once
// What ConvInteger and MatMulInteger with constant weights share: codes of x as they come, and what
// follows the sums,
//
//   y = float(sum - zero point of x * sum of the weights) * scale[channel] + bias[channel],
//   post-ops
//
// On machines without exact dot products of bytes, (x - zero point) and the weights are multiplied
// as floats.

#include <optional>
#include <vector>

#include "lib/fast/fast_kernel.h"
#include "lib/fast/loops/post_ops.h"

namespace roundel::engine {

// A run's operands.
struct SumsInput {
  bool is_signed = false;
  int32_t zero_point = 0;
  std::vector<float> scale;       // by channel; empty: the sums are put out
  const float* addend = nullptr;  // of the residual
};

class IntegerSums {
 public:
  // nullopt unless weights and their zero point are constant and fit int8 without it.
  static std::optional<IntegerSums> Of(const KernelSpec& spec, int64_t channel_axis);

  // Weights for the primitive: int8, or float32 where `floats`.
  const LinearWeights& weights() const { return weights_; }
  const Shape& weight_shape() const { return weights_.shape(); }
  bool floats() const { return floats_; }
  int64_t channels() const { return std::ssize(totals_); }

  // nullopt: declined. The result will have `shape`, its channels along `channel_axis`.
  std::optional<SumsInput> Read(FastContext& context, const Shape& shape, int64_t channel_axis,
                                Layout layout) const;
  // `codes` as the primitive takes them: themselves, or floats without their zero point.
  const void* Source(FastContext& context, const uint8_t* codes, int64_t n,
                     const SumsInput& input) const;
  // The result's buffer, which first takes the sums; nullptr without memory.
  void* Destination(FastContext& context, const Shape& shape, Layout layout) const;
  // Makes the result of sums [rows, channels] in place.
  void Finish(const SumsInput& input, int64_t rows, void* sums);

 private:
  LinearWeights weights_;
  bool floats_ = false;
  std::vector<int32_t> totals_;  // of the weights, by channel
  int scale_input_ = -1, residual_ = -1;
  std::vector<float> bias_;  // by channel; empty: none
  float low_, high_;         // bounds that follow
  std::shared_ptr<PostOpRunner> rest_;
};

}  // namespace roundel::engine
