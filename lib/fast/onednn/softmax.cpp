// Softmax and LogSoftmax over the last axis (below opset 13: over all axes from `axis` on).

#include "lib/fast/onednn/kernels.h"
#include "lib/fast/onednn/prepared_cache.h"
#include "lib/fast/onednn/primitive.h"

namespace roundel::engine {
namespace {

class SoftmaxKernel : public FastKernel {
 public:
  explicit SoftmaxKernel(const KernelSpec& spec)
      : coerce_(spec.opset < 13),
        logarithm_(spec.main->op_type == "LogSoftmax"),
        axis_(spec.main->Int("axis", coerce_ ? 1 : -1)) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || x->dtype() != DType::kFloat || x->shape.empty() || !DimsFit(x->shape)) return false;
    const auto rank = static_cast<int64_t>(x->shape.size());
    const int64_t axis = axis_ < 0 ? axis_ + rank : axis_;
    if (axis < 0 || axis >= rank) return false;
    Shape flat = {1, 1};
    for (int64_t i = 0; i < rank; ++i) flat[i < axis ? 0 : 1] *= x->shape[i];
    if (!coerce_ && flat[1] != x->shape[axis]) return false;
    const Primitive& primitive =
        cache_.Get(ShapeKey({&flat}), [&] { return MakeSoftmax(flat, logarithm_); });
    if (!primitive) return false;
    const float* source = context.Data(0, Layout::kPlain);
    float* destination = source ? context.Output(x->shape, Layout::kPlain) : nullptr;
    return destination && primitive.Run({.source = source, .destination = destination}, nullptr);
  }

 private:
  const bool coerce_, logarithm_;
  const int64_t axis_;
  PreparedCache<Primitive> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeSoftmaxKernel(const KernelSpec& spec) {
  return std::make_unique<SoftmaxKernel>(spec);
}

}  // namespace roundel::engine
