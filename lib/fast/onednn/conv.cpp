// Conv, channels-last.

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
        weights_(spec),
        min_rank_(spec.min_rank),
        post_ops_(spec) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    const Shape* w = weights_.ShapeIn(context);
    if (!x || !w || !Fits(*x, *w) || !weights_.BiasFits(context, (*w)[0])) return false;
    Prepared& prepared =
        cache_.Get(ShapeKey({&x->shape, w}), [&] { return Prepare(x->shape, *w); });
    return RunLinear(context, prepared.linear, post_ops_.residual(), prepared.result,
                     Layout::kChannelsLast);
  }

 private:
  struct Prepared {
    Shape result;
    PreparedLinear linear;  // without a primitive if the shapes are incompatible
  };

  Prepared Prepare(const Shape& x, const Shape& w) {
    const auto conv = ResolveConv(node_, groups_, x, w);
    if (!conv) return {};
    return {conv->result, post_ops_.Prepare([&](const Epilogue& epilogue, PreparedLinear* out) {
              return Make(x, w, *conv, epilogue, out);
            })};
  }

  bool Fits(const Value& x, const Shape& w) const {
    const auto rank = static_cast<int64_t>(w.size());
    return x.dtype() == DType::kFloat && kMinChannelsLastRank <= rank &&
           rank <= kMaxChannelsLastRank && min_rank_ <= rank;
  }

  bool Make(const Shape& x, const Shape& w, const ConvShape& conv, const Epilogue& epilogue,
            PreparedLinear* out) {
    const Shape grouped = GroupedShape(w, groups_);
    out->primitive =
        MakeConvolution({DescOf(x, Layout::kChannelsLast), AnyDesc(grouped), weights_.BiasFor(w[0]),
                         DescOf(conv.result, Layout::kChannelsLast)},
                        GeometryOf(conv.window), epilogue);
    return out->primitive && weights_.Fill(DescOf(grouped, Layout::kPlain), out);
  }

  const graph::Node node_;
  const int64_t groups_;
  LayerWeights weights_;
  const int64_t min_rank_;
  const LinearPostOps post_ops_;
  PreparedCache<Prepared> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeConvKernel(const KernelSpec& spec) {
  return std::make_unique<ConvKernel>(spec);
}

}  // namespace roundel::engine
