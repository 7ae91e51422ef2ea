#pragma once
// Common parts of ConvInteger and MatMulInteger with constant weights: the codes of x, and the
// operations on the sums,
//
//    y = float(sum - zero point of x * sum of the weights) * scale[channel] + bias[channel],
//    post-ops
//
// On machines without exact dot products of bytes, (x - zero point) and the weights are multiplied
// as floats.

#include <optional>
#include <vector>

#include "lib/fast/fast_kernel.h"
#include "lib/fast/loops/post_ops.h"

namespace roundel::engine {

// The operands of a run.
struct SumsInput {
  bool is_signed = false;
  int32_t zero_point = 0;
  std::vector<float> scale;       // per channel; empty: the result is the sums
  const float* addend = nullptr;  // of the residual
};

class IntegerSums {
 public:
  // nullopt unless the weights and their zero point are constant, and their differences fit int8.
  static std::optional<IntegerSums> Of(const KernelSpec& spec, int64_t channel_axis);

  // Weights for the primitive: int8, or float32 if `floats`.
  const LinearWeights& weights() const { return weights_; }
  const Shape& weight_shape() const { return weights_.shape(); }
  bool floats() const { return floats_; }
  int64_t channels() const { return std::ssize(totals_); }

  // nullopt: declined. `shape`: of the result, whose channels are on `channel_axis`.
  std::optional<SumsInput> Read(FastContext& context, const Shape& shape, int64_t channel_axis,
                                Layout layout) const;
  // `codes` in the form that the primitive takes: unchanged, or minus the zero point as floats.
  const void* Source(FastContext& context, const uint8_t* codes, int64_t n,
                     const SumsInput& input) const;
  // The result's buffer, into which the primitive writes sums; nullptr if memory is exhausted.
  void* Destination(FastContext& context, const Shape& shape, Layout layout) const;
  // Converts sums [rows, channels] to the result in place.
  void Finish(const SumsInput& input, int64_t rows, void* sums);

 private:
  LinearWeights weights_;
  bool floats_ = false;
  std::vector<int32_t> totals_;  // sums of the weights per channel
  int scale_input_ = -1, residual_ = -1;
  std::vector<float> bias_;  // per channel; empty: none
  float low_, high_;         // bounds of the post-ops
  std::shared_ptr<PostOpRunner> rest_;
};

}  // namespace roundel::engine
