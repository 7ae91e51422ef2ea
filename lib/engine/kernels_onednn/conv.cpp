// Conv with constant weights, channels-last.

#include "lib/engine/kernels_onednn/conv_shape.h"
#include "lib/engine/kernels_onednn/kernels.h"
#include "lib/engine/kernels_onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

class ConvKernel : public FastKernel {
 public:
  explicit ConvKernel(const KernelSpec& spec)
      : node_(*spec.main),
        groups_(spec.main->Int("group", 1)),
        weights_(spec.weights),
        bias_(spec.bias),
        min_rank_(spec.min_rank),
        post_ops_(spec) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || !Fits(*x)) return false;
    Prepared& prepared = cache_.Get(ShapeKey({&x->shape}), [&] { return Prepare(x->shape); });
    return RunLinear(context, prepared.linear, post_ops_.residual(), prepared.result,
                     Layout::kChannelsLast);
  }

 private:
  struct Prepared {
    Shape result;
    PreparedLinear linear;  // not usable if the shapes do not fit together
  };

  Prepared Prepare(const Shape& x) {
    const auto conv = ResolveConv(node_, groups_, x, weights_.shape());
    if (!conv) return {};
    return {conv->result,
            post_ops_.Prepare([&](const dnnl::primitive_attr& attributes, PreparedLinear* out) {
              return Make(x, conv->result, conv->window, attributes, out);
            })};
  }

  bool Fits(const Value& x) const {
    const int64_t rank = weights_.rank();
    return x.dtype() == DType::kFloat && rank <= kMaxChannelsLastRank && min_rank_ <= rank;
  }

  bool Make(const Shape& x, const Shape& y, const Window& window,
            const dnnl::primitive_attr& attributes, PreparedLinear* out) {
    const Shape grouped = GroupedShape(weights_.shape(), groups_);
    const dnnl::memory::desc bias_desc =
        bias_.defined() ? FloatDesc(bias_.shape(), Layout::kPlain) : dnnl::memory::desc();
    const dnnl::convolution_forward::primitive_desc descriptor(
        {dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
         FloatDesc(x, Layout::kChannelsLast), AnyFloatDesc(grouped), bias_desc,
         FloatDesc(y, Layout::kChannelsLast), window.strides, Gaps(window.dilations),
         window.pads_begin, ExactEndPads(window)},
        attributes, OneDnnEngine());
    if (!IsFastImplementation(descriptor.impl_info_str())) return false;
    out->primitive = dnnl::convolution_forward(descriptor);
    out->source = descriptor.src_desc();
    out->destination = descriptor.dst_desc();
    out->scratchpad = descriptor.scratchpad_desc();
    out->weights = packed_.Get(FloatDesc(grouped, Layout::kPlain), weights_,
                               descriptor.weights_desc());
    if (!out->weights) return false;
    if (bias_.defined()) out->bias = Wrap(bias_desc, bias_.data<float>());
    return true;
  }

  const graph::Node node_;
  const int64_t groups_;
  const LinearWeights weights_;
  const Tensor bias_;
  const int64_t min_rank_;
  const LinearPostOps post_ops_;
  PackedWeights packed_;
  PreparedCache<Prepared> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeConvKernel(const KernelSpec& spec) {
  if (!spec.weights.defined()) return nullptr;
  return std::make_unique<ConvKernel>(spec);
}

}  // namespace roundel::engine
