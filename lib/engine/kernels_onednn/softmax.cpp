// Softmax and LogSoftmax over the last axis (below opset 13: over all axes from `axis` on).

#include "lib/engine/kernels_onednn/common.h"
#include "lib/engine/kernels_onednn/kernels.h"

namespace roundel::engine {
namespace {

struct PreparedSoftmax {
  bool usable = false;
  dnnl::primitive primitive;
  dnnl::memory::desc desc;
};

class SoftmaxKernel : public FastKernel {
 public:
  explicit SoftmaxKernel(const KernelSpec& spec)
      : coerce_(spec.opset < 13),
        logarithm_(spec.main->op_type == "LogSoftmax"),
        axis_(spec.main->Int("axis", coerce_ ? 1 : -1)) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || x->dtype() != DType::kFloat || x->shape.empty() || !DimsFit(x->shape))
      return false;
    const auto rank = static_cast<int64_t>(x->shape.size());
    const int64_t axis = axis_ < 0 ? axis_ + rank : axis_;
    if (axis < 0 || axis >= rank) return false;
    Shape flat = {1, 1};
    for (int64_t i = 0; i < rank; ++i) flat[i < axis ? 0 : 1] *= x->shape[i];
    if (!coerce_ && flat[1] != x->shape[axis]) return false;
    PreparedSoftmax& prepared = cache_.Get(ShapeKey({&flat}), [&] { return Make(flat); });
    if (!prepared.usable) return false;
    const float* source = context.Data(0, Layout::kPlain);
    float* destination = source ? context.Output(x->shape, Layout::kPlain) : nullptr;
    if (!destination) return false;
    try {
      prepared.primitive.execute(OneDnnStream(),
                                 {{DNNL_ARG_SRC, Wrap(prepared.desc, source)},
                                  {DNNL_ARG_DST, Wrap(prepared.desc, destination)}});
      OneDnnStream().wait();
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

 private:
  PreparedSoftmax Make(const Shape& flat) const {
    PreparedSoftmax prepared;
    try {
      prepared.desc = FloatDesc(flat, Layout::kPlain);
      const auto kind = dnnl::prop_kind::forward_inference;
      const dnnl::softmax_v2_forward::primitive_desc descriptor(
          {kind, logarithm_ ? dnnl::algorithm::softmax_log : dnnl::algorithm::softmax_accurate,
           prepared.desc, prepared.desc, 1},
          OneDnnEngine());
      if (!IsFastImplementation(descriptor.impl_info_str())) return prepared;
      prepared.primitive = dnnl::softmax_v2_forward(descriptor);
      prepared.usable = true;
    } catch (const std::exception&) {
      prepared.usable = false;
    }
    return prepared;
  }

  const bool coerce_, logarithm_;
  const int64_t axis_;
  PreparedCache<PreparedSoftmax> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeSoftmaxKernel(const KernelSpec& spec) {
  return std::make_unique<SoftmaxKernel>(spec);
}

}  // namespace roundel::engine
