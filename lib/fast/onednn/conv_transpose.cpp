// ConvTranspose, channels-last.

#include "lib/fast/onednn/conv_shape.h"
#include "lib/fast/onednn/kernels.h"
#include "lib/fast/onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

// ONNX stores [C_in, M / groups, k...]; oneDNN needs [groups, M / groups, C_in / groups, k...].
TensorDesc Exchanged(const Shape& w, int64_t groups) {
  const int64_t taps = NumElements(Shape(w.begin() + 2, w.end()));
  Shape dims = {w[1], w[0] / groups};
  std::vector<int64_t> strides = {taps, w[1] * taps};
  if (groups > 1) {
    dims.insert(dims.begin(), groups);
    strides.insert(strides.begin(), w[0] / groups * w[1] * taps);
  }
  int64_t step = taps;
  for (size_t i = 2; i < w.size(); ++i) {
    step /= w[i];
    dims.push_back(w[i]);
    strides.push_back(step);
  }
  return StridedDesc(dims, strides);
}

class ConvTransposeKernel : public FastKernel {
 public:
  explicit ConvTransposeKernel(const KernelSpec& spec)
      : node_(*spec.main),
        groups_(spec.main->Int("group", 1)),
        weights_(spec),
        min_rank_(spec.min_rank),
        post_ops_(spec) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    const Shape* w = weights_.ShapeIn(context);
    if (!x || !w || !Fits(*x, *w)) return false;
    const auto shape = ResolveConvTranspose(node_, groups_, x->shape, *w);
    if (!shape || !weights_.BiasFits(context, shape->result[1])) return false;
    PreparedLinear& prepared = cache_.Get(ShapeKey({&x->shape, w}), [&] {
      return post_ops_.Prepare([&](const Epilogue& epilogue, PreparedLinear* out) {
        return Make(x->shape, *w, *shape, epilogue, out);
      });
    });
    return RunLinear(context, prepared, post_ops_.residual(), shape->result, Layout::kChannelsLast);
  }

 private:
  bool Fits(const Value& x, const Shape& w) const {
    const auto rank = static_cast<int64_t>(w.size());
    return x.dtype() == DType::kFloat && kMinChannelsLastRank <= rank &&
           rank <= kMaxChannelsLastRank && min_rank_ <= rank;
  }

  bool Make(const Shape& x, const Shape& w, const TransposedShape& shape, const Epilogue& epilogue,
            PreparedLinear* out) {
    const TensorDesc plain = Exchanged(w, groups_);
    out->primitive = MakeDeconvolution(
        {DescOf(x, Layout::kChannelsLast), AnyDesc(plain.shape), weights_.BiasFor(shape.result[1]),
         DescOf(shape.result, Layout::kChannelsLast)},
        shape.geometry, epilogue);
    return out->primitive && weights_.Fill(plain, out);
  }

  const graph::Node node_;
  const int64_t groups_;
  LayerWeights weights_;
  const int64_t min_rank_;
  const LinearPostOps post_ops_;
  PreparedCache<PreparedLinear> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeConvTransposeKernel(const KernelSpec& spec) {
  return std::make_unique<ConvTransposeKernel>(spec);
}

}  // namespace roundel::engine
