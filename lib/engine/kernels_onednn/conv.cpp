// Conv with constant weights, channels-last.

#include "lib/engine/kernels/spatial.h"
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
    const Shape& w = weights_.shape();
    const Shape kernel(w.begin() + 2, w.end());
    if (node_.Ints("kernel_shape", kernel) != kernel) return false;
    const Result<Window> window =
        ResolveWindow(node_, Shape(x->shape.begin() + 2, x->shape.end()), kernel, false);
    if (!window.ok()) return false;
    Shape shape = {x->shape[0], w[0]};
    shape.insert(shape.end(), window->output.begin(), window->output.end());
    if (!DimsFit(x->shape) || !DimsFit(shape)) return false;
    PreparedLinear& prepared = cache_.Get(ShapeKey({&x->shape}), [&] {
      return post_ops_.Prepare([&](const dnnl::primitive_attr& attributes, PreparedLinear* out) {
        return Make(x->shape, shape, *window, attributes, out);
      });
    });
    return RunLinear(context, prepared, post_ops_.residual(), shape, Layout::kChannelsLast);
  }

 private:
  bool Fits(const Value& x) const {
    const int64_t rank = weights_.rank();
    return x.dtype() == DType::kFloat && rank <= kMaxChannelsLastRank &&
           static_cast<int64_t>(x.shape.size()) == rank && min_rank_ <= rank && groups_ >= 1 &&
           weights_.dim(0) % groups_ == 0 && x.shape[1] % groups_ == 0 &&
           weights_.dim(1) == x.shape[1] / groups_ && DimsFit(weights_.shape());
  }

  bool Make(const Shape& x, const Shape& y, const Window& window,
            const dnnl::primitive_attr& attributes, PreparedLinear* out) {
    Shape grouped = weights_.shape();
    if (groups_ > 1) {
      grouped[0] /= groups_;
      grouped.insert(grouped.begin(), groups_);
    }
    std::vector<int64_t> dilations = window.dilations;
    for (int64_t& dilation : dilations) --dilation;  // oneDNN counts the gaps
    const dnnl::memory::desc bias_desc =
        bias_.defined() ? FloatDesc(bias_.shape(), Layout::kPlain) : dnnl::memory::desc();
    // A last output row that the end padding alone would feed is not computed: oneDNN wants the
    // padding that makes the sizes come out exactly.
    std::vector<int64_t> pads_end = window.pads_end;
    for (size_t i = 0; i < pads_end.size(); ++i)
      pads_end[i] = (window.output[i] - 1) * window.strides[i] +
                    (window.kernel[i] - 1) * window.dilations[i] + 1 - window.input[i] -
                    window.pads_begin[i];
    const dnnl::convolution_forward::primitive_desc descriptor(
        {dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
         FloatDesc(x, Layout::kChannelsLast), AnyFloatDesc(grouped), bias_desc,
         FloatDesc(y, Layout::kChannelsLast), window.strides, dilations, window.pads_begin,
         pads_end},
        attributes, OneDnnEngine());
    if (!IsFastImplementation(descriptor.impl_info_str())) return false;
    out->primitive = dnnl::convolution_forward(descriptor);
    out->source = descriptor.src_desc();
    out->destination = descriptor.dst_desc();
    out->scratchpad = descriptor.scratchpad_desc();
    out->weights = packed_.Get(FloatDesc(grouped, Layout::kPlain), weights_.data<float>(),
                               descriptor.weights_desc());
    if (bias_.defined()) out->bias = Wrap(bias_desc, bias_.data<float>());
    return true;
  }

  const graph::Node node_;
  const int64_t groups_;
  const Tensor weights_, bias_;
  const int64_t min_rank_;
  const LinearPostOps post_ops_;
  PackedWeights packed_;
  PreparedCache<PreparedLinear> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeConvKernel(const KernelSpec& spec) {
  if (!spec.weights.defined()) return nullptr;
  return std::make_unique<ConvKernel>(spec);
}

}  // namespace roundel::engine
