// Gradients of MaxPool, AveragePool and GlobalAveragePool (ReduceMean over all pixels is one) of
// channels-last values: one window after the other, with its channels side by side.
#pragma GCC optimize("O3")

#include <algorithm>
#include <memory>
#include <numeric>

#include "lib/base/vectorize.h"
#include "lib/fast/loops/kernels.h"
#include "lib/ops/kernels/pool_window.h"

namespace roundel::engine {
namespace {

ROUNDEL_VECTORIZE void KeepLarger(const float* row, int32_t pixel, int64_t n, float* value,
                                  int32_t* best) {
  for (int64_t c = 0; c < n; ++c) {
    const bool larger = row[c] > value[c];
    value[c] = larger ? row[c] : value[c];
    best[c] = larger ? pixel : best[c];
  }
}
ROUNDEL_VECTORIZE void AddShare(const float* dy, float share, int64_t n, float* dx) {
  for (int64_t c = 0; c < n; ++c) dx[c] += dy[c] * share;
}
ROUNDEL_VECTORIZE void SetShare(const float* dy, float share, int64_t n, float* dx) {
  for (int64_t c = 0; c < n; ++c) dx[c] = dy[c] * share;
}

// One sample of a pooling node: adds to dx, which starts as zeros. Buffers hold a value per channel.
class PoolSample {
 public:
  PoolSample(const graph::Node& node, const Window& window, int64_t channels)
      : max_(node.op_type.starts_with("Max")),
        padding_counts_(node.Int("count_include_pad", 0) != 0),
        window_(window),
        channels_(channels),
        walker_(window),
        value_(static_cast<size_t>(channels)),
        best_(value_.size()) {}

  void Run(const float* x, const float* dy, float* dx) {
    for (Odometer out(window_.output); !out.done(); out.Next(), dy += channels_)
      max_ ? AddToLargest(out.index(), x, dy, dx) : AddToAll(out.index(), dy, dx);
  }

 private:
  void AddToLargest(const std::vector<int64_t>& out, const float* x, const float* dy, float* dx) {
    bool any = false;
    walker_.ForEachTap(out, [&](int64_t pixel) {
      const float* row = x + pixel * channels_;
      if (any) {
        KeepLarger(row, static_cast<int32_t>(pixel), channels_, value_.data(), best_.data());
      } else {
        std::copy_n(row, channels_, value_.begin());
        std::fill(best_.begin(), best_.end(), static_cast<int32_t>(pixel));
        any = true;
      }
    });
    if (!any) return;
    for (int64_t c = 0; c < channels_; ++c) dx[best_[c] * channels_ + c] += dy[c];
  }

  void AddToAll(const std::vector<int64_t>& out, const float* dy, float* dx) {
    int64_t count = 0;
    walker_.ForEachTap(out, [&](int64_t) { ++count; });
    if (padding_counts_) count = TapsWithPadding(window_, out);
    const float share = 1.0f / static_cast<float>(count);
    walker_.ForEachTap(
        out, [&](int64_t pixel) { AddShare(dy, share, channels_, dx + pixel * channels_); });
  }

  const bool max_, padding_counts_;
  const Window& window_;
  const int64_t channels_;
  TapWalker walker_;
  std::vector<float> value_;
  std::vector<int32_t> best_;
};

// dY, X -> dX
class PoolGradient : public FastKernel {
 public:
  explicit PoolGradient(const graph::Node& node) : node_(node) {}

  bool Run(FastContext& context) override {
    const Value *dy = context.input(0), *x = context.input(1);
    if (!dy || !x || dy->dtype() != DType::kFloat || x->layout != Layout::kChannelsLast)
      return false;
    const Shape shape = x->shape;
    const int64_t all = NumElements(shape), channels = shape[1];
    if (all == 0 || all > INT32_MAX) return false;
    const Result<Window> window =
        ResolveWindow(node_, {shape.begin() + 2, shape.end()}, node_.Ints("kernel_shape"),
                      node_.Int("ceil_mode", 0) != 0);
    if (!window.ok()) return false;
    Shape pooled = {shape[0], channels};
    pooled.insert(pooled.end(), window->output.begin(), window->output.end());
    if (dy->shape != pooled) return false;
    const float* from = context.Data(1, Layout::kChannelsLast);
    const float* d = context.Data(0, Layout::kChannelsLast);
    float* to = from && d ? context.Output(shape, Layout::kChannelsLast) : nullptr;
    if (!to) return false;
    std::fill_n(to, all, 0.0f);
    PoolSample sample(node_, *window, channels);
    const int64_t in = all / shape[0], out = NumElements(pooled) / shape[0];
    for (int64_t n = 0; n < shape[0]; ++n) sample.Run(from + n * in, d + n * out, to + n * in);
    return true;
  }

 private:
  const graph::Node node_;
};

// dY, X (its shape) -> dX: the same for all pixels.
class MeanGradient : public FastKernel {
 public:
  explicit MeanGradient(std::optional<std::vector<int64_t>> axes) : axes_(std::move(axes)) {}

  bool Run(FastContext& context) override {
    const Value *dy = context.input(0), *x = context.input(1);
    if (!dy || !x || dy->dtype() != DType::kFloat || x->layout != Layout::kChannelsLast)
      return false;
    const Shape shape = x->shape;
    const int64_t rows = shape[0], channels = shape[1], all = NumElements(shape);
    if (all == 0 || NumElements(dy->shape) != rows * channels || !ReducesPixels(x->shape))
      return false;
    const float* from = context.Data(0, Layout::kPlain);
    float* to = from ? context.Output(shape, Layout::kChannelsLast) : nullptr;
    if (!to) return false;
    const int64_t pixels = all / rows / channels;
    const float share = 1.0f / static_cast<float>(pixels);
    for (int64_t n = 0; n < rows; ++n, from += channels)
      for (int64_t p = 0; p < pixels; ++p, to += channels) SetShare(from, share, channels, to);
    return true;
  }

 private:
  bool ReducesPixels(const Shape& shape) const {
    if (!axes_) return true;
    const auto rank = static_cast<int64_t>(shape.size());
    std::vector<int64_t> axes = *axes_, pixels(shape.size() - 2);
    for (int64_t& axis : axes) axis += axis < 0 ? rank : 0;
    std::sort(axes.begin(), axes.end());
    std::iota(pixels.begin(), pixels.end(), 2);
    return axes == pixels;
  }

  const std::optional<std::vector<int64_t>> axes_;  // of a ReduceMean
};

}  // namespace

std::unique_ptr<FastKernel> MakePoolGradient(const KernelSpec& spec) {
  return std::make_unique<PoolGradient>(*spec.main);
}

std::unique_ptr<FastKernel> MakeMeanGradient(const KernelSpec& spec) {
  if (spec.main->op_type.starts_with("Global")) return std::make_unique<MeanGradient>(std::nullopt);
  std::vector<int64_t> axes = spec.main->Ints("axes");
  if (!spec.main->input(2).empty()) {
    const Tensor* given = spec.constants[2];
    if (!given || given->dtype() != DType::kInt64) return nullptr;
    axes = given->ToInt64s();
  }
  return std::make_unique<MeanGradient>(std::move(axes));
}

}  // namespace roundel::engine
