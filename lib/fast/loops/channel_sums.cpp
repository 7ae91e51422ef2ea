// ChannelSum, and SumTo of one value per channel (of each sample or of all): sums over the pixels of
// channels-last values.
#pragma GCC optimize("O3")

#include <algorithm>

#include "lib/base/vectorize.h"
#include "lib/fast/loops/kernels.h"

namespace roundel::engine {
namespace {

ROUNDEL_VECTORIZE void AddRows(const float* from, int64_t rows, int64_t columns, double* sums) {
  for (int64_t row = 0; row < rows; ++row, from += columns)
    for (int64_t c = 0; c < columns; ++c) sums[c] += static_cast<double>(from[c]);
}

class ChannelSums : public FastKernel {
 public:
  explicit ChannelSums(bool to_shape) : to_shape_(to_shape) {}

  bool Run(FastContext& context) override {
    const Value* dy = context.input(0);
    const Value* like = to_shape_ ? context.input(1) : nullptr;
    if (dy && like && dy->dtype() == DType::kFloat &&
        dy->shape == like->shape) {  // nothing was broadcast
      context.OutputView(0, Shape(dy->shape), dy->layout);
      return true;
    }
    if (!dy || dy->layout != Layout::kChannelsLast || dy->dtype() != DType::kFloat ||
        (to_shape_ && !like))
      return false;
    const Shape shape = dy->shape;
    Shape result = {shape[1]};
    if (like) result = like->shape;
    const int64_t channels = shape[1], all = NumElements(shape);
    const bool by_sample = like && result == Kept(shape, shape[0]);
    if (all == 0 || (like && !by_sample && !IsPerChannel(result, shape))) return false;
    const int64_t groups = by_sample ? shape[0] : 1;
    const float* from = context.Data(0, Layout::kChannelsLast);
    float* to = from ? context.Output(result, Layout::kPlain) : nullptr;
    if (!to) return false;
    std::vector<double> sums(static_cast<size_t>(channels));
    for (int64_t g = 0; g < groups; ++g) {
      std::fill(sums.begin(), sums.end(), 0.0);
      AddRows(from + g * (all / groups), all / groups / channels, channels, sums.data());
      for (int64_t c = 0; c < channels; ++c)
        to[g * channels + c] = static_cast<float>(sums[static_cast<size_t>(c)]);
    }
    return true;
  }

 private:
  // [samples, C, 1, 1...]
  static Shape Kept(const Shape& shape, int64_t samples) {
    Shape kept(shape.size(), 1);
    kept[0] = samples;
    kept[1] = shape[1];
    return kept;
  }
  // [C, 1, 1...] or [1, C, 1, 1...]
  static bool IsPerChannel(const Shape& result, const Shape& shape) {
    const Shape kept = Kept(shape, 1);
    return result == kept || result == Shape(kept.begin() + 1, kept.end());
  }

  const bool to_shape_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeChannelSums(const KernelSpec& spec) {
  return std::make_unique<ChannelSums>(spec.main->op_type == "SumTo");
}

}  // namespace roundel::engine
