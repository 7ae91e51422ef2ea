// Conv with constant weights, channels-last.

#include "lib/fast/onednn/conv_shape.h"
#include "lib/fast/onednn/kernels.h"
#include "lib/fast/onednn/linear_kernel.h"

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
    PreparedLinear linear;  // without a primitive if the shapes are incompatible
  };

  Prepared Prepare(const Shape& x) {
    const auto conv = ResolveConv(node_, groups_, x, weights_.shape());
    if (!conv) return {};
    return {conv->result, post_ops_.Prepare([&](const Epilogue& epilogue, PreparedLinear* out) {
              return Make(x, conv->result, conv->window, epilogue, out);
            })};
  }

  bool Fits(const Value& x) const {
    const int64_t rank = weights_.rank();
    return x.dtype() == DType::kFloat && rank <= kMaxChannelsLastRank && min_rank_ <= rank;
  }

  bool Make(const Shape& x, const Shape& y, const Window& window, const Epilogue& epilogue,
            PreparedLinear* out) {
    const Shape grouped = GroupedShape(weights_.shape(), groups_);
    out->primitive = MakeConvolution(
        {DescOf(x, Layout::kChannelsLast), AnyDesc(grouped), BiasDesc(bias_),
         DescOf(y, Layout::kChannelsLast)},
        {window.strides, window.dilations, window.pads_begin, ExactEndPads(window)}, epilogue);
    if (!out->primitive) return false;
    out->weights = packed_.Get(DescOf(grouped, Layout::kPlain), weights_, out->primitive);
    out->bias = BiasData(bias_);
    return out->weights.defined();
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
