// BatchNormalization that is not folded: y = scale[c] * x + shift[c], in either layout.
#pragma GCC optimize("O3")

#include <cmath>
#include <utility>

#include "lib/base/parallel.h"
#include "lib/base/vectorize.h"
#include "lib/fast/loops/kernels.h"
#include "lib/fast/loops/post_ops.h"

namespace roundel::engine {
namespace {

ROUNDEL_VECTORIZE void ScaleRow(const float* from, const float* scale, const float* shift,
                                float* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = scale[i] * from[i] + shift[i];
}
ROUNDEL_VECTORIZE void ScalePlane(const float* from, float scale, float shift, float* to,
                                  int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = scale * from[i] + shift;
}

class BatchNormKernel : public FastKernel {
 public:
  BatchNormKernel(std::vector<float> scale, std::vector<float> shift, const KernelSpec& spec)
      : scale_(std::move(scale)),
        shift_(std::move(shift)),
        min_rank_(spec.min_rank),
        runner_(spec.post_ops) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || x->dtype() != DType::kFloat || x->shape.size() < 2) return false;
    const Shape shape = x->shape;
    const Layout layout = x->layout;
    const auto channels = static_cast<int64_t>(scale_.size());
    if (shape[1] != channels || static_cast<int64_t>(shape.size()) < min_rank_) return false;
    const float* from = context.Data(0, layout);
    float* to = context.CanOverwrite(0) ? context.OutputOver(0, shape, layout)
                                        : context.Output(shape, layout);
    if (!from || !to) return false;
    const int64_t count = NumElements(shape);
    if (count == 0) return true;
    if (layout == Layout::kChannelsLast || shape.size() == 2) {
      ParallelFor(count / channels, 1 + (1 << 14) / channels, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row)
          ScaleRow(from + row * channels, scale_.data(), shift_.data(), to + row * channels,
                   channels);
      });
    } else {
      const int64_t pixels = count / shape[0] / channels;
      ParallelFor(shape[0] * channels, 1 + (1 << 14) / pixels, [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane)
          ScalePlane(from + plane * pixels, scale_[plane % channels], shift_[plane % channels],
                     to + plane * pixels, pixels);
      });
    }
    runner_.Run(to, to, count);
    return true;
  }

 private:
  const std::vector<float> scale_, shift_;
  const int64_t min_rank_;
  PostOpRunner runner_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeBatchNormKernel(const KernelSpec& spec) {
  const graph::Node& node = *spec.main;
  if (spec.opset < 7 || node.Int("training_mode", 0) != 0 || node.Int("spatial", 1) != 1 ||
      spec.constants.size() < 5)
    return nullptr;
  const float* parameters[4];
  int64_t channels = -1;
  for (size_t i = 0; i < 4; ++i) {
    const Tensor* t = spec.constants[i + 1];
    if (!t || t->dtype() != DType::kFloat || t->rank() != 1) return nullptr;
    if (channels >= 0 && t->size() != channels) return nullptr;
    channels = t->size();
    parameters[i] = t->data<float>();
  }
  const auto [gamma, beta, mean, variance] = parameters;
  const double epsilon = node.Float("epsilon", 1e-5f);
  std::vector<float> scale, shift;
  for (int64_t c = 0; c < channels; ++c) {
    const double factor = gamma[c] / std::sqrt(variance[c] + epsilon);
    scale.push_back(static_cast<float>(factor));
    shift.push_back(static_cast<float>(beta[c] - mean[c] * factor));
  }
  if (scale.empty()) return nullptr;
  return std::make_unique<BatchNormKernel>(std::move(scale), std::move(shift), spec);
}

}  // namespace roundel::engine
