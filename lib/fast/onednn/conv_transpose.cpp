// ConvTranspose with constant weights, channels-last.

#include <limits>

#include "lib/fast/onednn/conv_shape.h"
#include "lib/fast/onednn/kernels.h"
#include "lib/fast/onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

struct Geometry {
  std::vector<int64_t> output, strides, dilations, pads_begin, pads_end;
};

class ConvTransposeKernel : public FastKernel {
 public:
  explicit ConvTransposeKernel(const KernelSpec& spec)
      : node_(*spec.main),
        groups_(spec.main->Int("group", 1)),
        weights_(spec.weights),
        bias_(spec.bias),
        min_rank_(spec.min_rank),
        post_ops_(spec) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || !Fits(*x) || !DimsFit(x->shape)) return false;
    Geometry geometry;
    if (!Resolve(x->shape, &geometry)) return false;
    Shape shape = {x->shape[0], weights_.dim(1) * groups_};
    shape.insert(shape.end(), geometry.output.begin(), geometry.output.end());
    if (!DimsFit(shape)) return false;
    PreparedLinear& prepared = cache_.Get(ShapeKey({&x->shape}), [&] {
      return post_ops_.Prepare([&](const Epilogue& epilogue, PreparedLinear* out) {
        return Make(x->shape, shape, geometry, epilogue, out);
      });
    });
    return RunLinear(context, prepared, post_ops_.residual(), shape, Layout::kChannelsLast);
  }

 private:
  bool Fits(const Value& x) const {
    const int64_t rank = weights_.rank();
    return x.dtype() == DType::kFloat && rank <= kMaxChannelsLastRank &&
           static_cast<int64_t>(x.shape.size()) == rank && min_rank_ <= rank && groups_ >= 1 &&
           weights_.dim(0) == x.shape[1] && x.shape[1] % groups_ == 0 && DimsFit(weights_.shape());
  }

  // False for attributes that are not supported (output_shape with SAME padding and others).
  bool Resolve(const Shape& x, Geometry* g) const {
    const size_t axes = x.size() - 2;
    const std::string auto_pad = node_.String("auto_pad", "NOTSET");
    if ((auto_pad != "NOTSET" && auto_pad != "VALID" && !auto_pad.empty()) ||
        node_.FindAttribute("output_shape"))
      return false;
    std::vector<int64_t> pads(2 * axes, 0);
    if (auto_pad != "VALID") pads = node_.Ints("pads", pads);
    const std::vector<int64_t> extra = node_.Ints("output_padding", std::vector<int64_t>(axes, 0));
    g->strides = node_.Ints("strides", std::vector<int64_t>(axes, 1));
    g->dilations = node_.Ints("dilations", std::vector<int64_t>(axes, 1));
    if (pads.size() != 2 * axes || extra.size() != axes || g->strides.size() != axes ||
        g->dilations.size() != axes)
      return false;
    for (size_t i = 0; i < axes; ++i) {
      constexpr int64_t kMax = 1 << 20;  // products below do not overflow
      for (int64_t v : {pads[i], pads[axes + i], extra[i], g->strides[i], g->dilations[i]})
        if (v < 0 || v > kMax) return false;
      if (g->strides[i] < 1 || g->dilations[i] < 1 || weights_.dim(2 + i) > kMax) return false;
      const int64_t span = (weights_.dim(2 + i) - 1) * g->dilations[i] + 1;
      const int64_t full = (x[2 + i] - 1) * g->strides[i] + span;
      g->output.push_back(full + extra[i] - pads[i] - pads[axes + i]);
      g->pads_begin.push_back(pads[i]);
      g->pads_end.push_back(full - pads[i] - g->output.back());
      if (g->output.back() < 1) return false;
    }
    return true;
  }

  // ONNX stores [C_in, M / groups, k...]; oneDNN needs [groups, M / groups, C_in / groups, k...].
  bool Make(const Shape& x, const Shape& y, const Geometry& g, const Epilogue& epilogue,
            PreparedLinear* out) {
    const Shape& w = weights_.shape();
    const int64_t taps = NumElements(Shape(w.begin() + 2, w.end()));
    Shape dims = {w[1], w[0] / groups_};
    std::vector<int64_t> strides = {taps, w[1] * taps};
    if (groups_ > 1) {
      dims.insert(dims.begin(), groups_);
      strides.insert(strides.begin(), w[0] / groups_ * w[1] * taps);
    }
    int64_t step = taps;
    for (size_t i = 2; i < w.size(); ++i) {
      step /= w[i];
      dims.push_back(w[i]);
      strides.push_back(step);
    }
    out->primitive =
        MakeDeconvolution({DescOf(x, Layout::kChannelsLast), AnyDesc(dims), BiasDesc(bias_),
                           DescOf(y, Layout::kChannelsLast)},
                          {g.strides, g.dilations, g.pads_begin, g.pads_end}, epilogue);
    if (!out->primitive) return false;
    out->weights = packed_.Get(StridedDesc(dims, strides), weights_, out->primitive);
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
  PreparedCache<PreparedLinear> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeConvTransposeKernel(const KernelSpec& spec) {
  if (!spec.weights.defined()) return nullptr;
  return std::make_unique<ConvTransposeKernel>(spec);
}

}  // namespace roundel::engine
