// The gradients of Conv and ConvTranspose, channels-last.

#include "lib/fast/onednn/conv_shape.h"
#include "lib/fast/onednn/kernels.h"
#include "lib/fast/onednn/linear_kernel.h"
#include "lib/fast/onednn/picked_pixels.h"

namespace roundel::engine {
namespace {

// A convolution whose gradient is wanted. Of a ConvTranspose, it is the Conv that leads from its
// result to its source.
struct Forward {
  Shape source, result, weights;  // weights: [M, C / group, k...]
  ConvGeometry geometry;
  int64_t groups = 1;
};

std::optional<Forward> ResolveForward(const graph::Node& node, const Shape& x, const Shape& w) {
  const auto rank = static_cast<int64_t>(w.size());
  const int64_t groups = node.Int("group", 1);
  if (rank < kMinChannelsLastRank || rank > kMaxChannelsLastRank) return std::nullopt;
  if (node.op_type.starts_with("ConvTranspose")) {
    const auto shape = ResolveConvTranspose(node, groups, x, w);
    if (!shape) return std::nullopt;
    return Forward{shape->result, x, w, shape->geometry, groups};
  }
  const auto conv = ResolveConv(node, groups, x, w);
  if (!conv) return std::nullopt;
  return Forward{x, conv->result, w, GeometryOf(conv->window), groups};
}

LinearDesc Describe(const Forward& f) {
  return {DescOf(f.source, Layout::kChannelsLast),
          AnyDesc(GroupedShape(f.weights, f.groups)),
          {},
          DescOf(f.result, Layout::kChannelsLast)};
}

// A kernel of one tap with strides reads every s-th pixel. oneDNN's own gradients for that write
// beyond their scratch memory if there are few input channels (its issue 6035), hence `forward`
// becomes the Conv without strides on the pixels that are read.
std::optional<PickedPixels> TakePixels(Forward* forward) {
  ConvGeometry& g = forward->geometry;
  bool one_tap = true, adjacent = true;
  for (size_t i = 0; i < g.strides.size(); ++i) {
    one_tap &= forward->weights[2 + i] == 1;
    adjacent &= g.strides[i] == 1;
  }
  if (!one_tap || adjacent) return std::nullopt;
  PickedPixels pixels(forward->source, forward->result, g.strides, g.pads_begin);
  const int64_t channels = forward->source[1];
  forward->source = forward->result;
  forward->source[1] = channels;
  const std::vector<int64_t> ones(g.strides.size(), 1), zeros(ones.size(), 0);
  g = {ones, ones, zeros, zeros};
  return pixels;
}

struct PreparedGradient {
  Shape result;  // of the kernel
  std::optional<PickedPixels> pixels;
  PreparedLinear linear;  // without a primitive if there is no fast implementation
  Primitive unpacking;    // of the gradient of the weights; empty if it is row-major
};

class ConvGradient : public FastKernel {
 public:
  // x, w: the inputs that have the shapes of the node's source and weights; one of them is that of
  // the result.
  ConvGradient(const graph::Node& node, size_t x, size_t w)
      : node_(node), transposed_(node.op_type.starts_with("ConvTranspose")), x_(x), w_(w) {}

  bool Run(FastContext& context) override {
    for (size_t i : {0, 1, 2})
      if (!context.input(i) || context.input(i)->dtype() != DType::kFloat) return false;
    const Shape &dy = context.input(0)->shape, &x = context.input(x_)->shape,
                &w = context.input(w_)->shape;
    PreparedGradient& prepared = cache_.Get(ShapeKey({&dy, &x, &w}), [&] {
      const auto forward = ResolveForward(node_, x, w);
      if (!forward || dy != (transposed_ ? forward->source : forward->result))
        return PreparedGradient();
      PreparedGradient made{.result = context.input(2)->shape};
      return Make(*forward, &made) ? std::move(made) : PreparedGradient();
    });
    return prepared.linear.primitive && RunPrepared(context, prepared);
  }

 protected:
  virtual bool Make(Forward forward, PreparedGradient* out) const = 0;
  virtual bool RunPrepared(FastContext& context, PreparedGradient& prepared) const = 0;

  const graph::Node node_;
  const bool transposed_;

 private:
  const size_t x_, w_;
  PreparedCache<PreparedGradient> cache_;
};

// dY, W, X (its shape) -> dX
class ToSource : public ConvGradient {
 public:
  explicit ToSource(const graph::Node& node) : ConvGradient(node, 2, 1) {}

 private:
  bool Make(Forward forward, PreparedGradient* out) const override {
    if (!transposed_) out->pixels = TakePixels(&forward);
    const LinearDesc desc = Describe(forward);
    out->linear.primitive = transposed_ ? MakeConvolution(desc, forward.geometry)
                                        : MakeConvolutionToSource(desc, forward.geometry);
    out->linear.rest = std::make_shared<PostOpRunner>(std::vector<PostOp>{});
    return out->linear.primitive &&
           PackEachRun(DescOf(desc.weights.shape, Layout::kPlain), &out->linear);
  }

  bool RunPrepared(FastContext& context, PreparedGradient& prepared) const override {
    PreparedLinear& linear = prepared.linear;
    if (!prepared.pixels)
      return RunLinear(context, linear, -1, prepared.result, Layout::kChannelsLast);
    const float* dy = context.Data(0, Layout::kChannelsLast);
    const void* weights = context.Data(1, Layout::kPlain);
    void* scratch = nullptr;
    auto* pixels = static_cast<float*>(context.Scratch(prepared.pixels->bytes()));
    if (!dy || !weights || !pixels || (linear.packing && !Pack(context, linear, &weights)) ||
        !TakeScratch(context, linear.primitive, &scratch))
      return false;
    float* dx = context.Output(prepared.result, Layout::kChannelsLast);
    if (!dx || !linear.primitive.Run({dy, weights, {}, nullptr, pixels}, scratch)) return false;
    prepared.pixels->PutBack(pixels, dx);
    return true;
  }
};

// dY, X, W (its shape) -> dW
class ToWeights : public ConvGradient {
 public:
  explicit ToWeights(const graph::Node& node) : ConvGradient(node, 1, 2) {}

 private:
  bool Make(Forward forward, PreparedGradient* out) const override {
    out->pixels = TakePixels(&forward);
    const LinearDesc desc = Describe(forward);
    const TensorDesc plain = DescOf(desc.weights.shape, Layout::kPlain);
    out->linear.primitive = MakeConvolutionToWeights(desc, forward.geometry);
    if (!out->linear.primitive) return false;
    if (HasOrder(out->linear.primitive, plain)) return true;
    out->unpacking = MakeUnpacking(out->linear.primitive, plain);
    return static_cast<bool>(out->unpacking);
  }

  bool RunPrepared(FastContext& context, PreparedGradient& prepared) const override {
    // The source of the Conv, and the gradient of its result: exchanged for a ConvTranspose.
    const float* source = context.Data(transposed_ ? 0 : 1, Layout::kChannelsLast);
    const float* gradient = context.Data(transposed_ ? 1 : 0, Layout::kChannelsLast);
    if (!source || !gradient) return false;
    if (prepared.pixels) {
      auto* pixels = static_cast<float*>(context.Scratch(prepared.pixels->bytes()));
      if (!pixels) return false;
      prepared.pixels->Pick(source, pixels);
      source = pixels;
    }
    float* dw = context.Output(prepared.result, Layout::kPlain);
    return dw && Store(context, prepared, source, gradient, dw);
  }

  static bool Store(FastContext& context, const PreparedGradient& prepared, const float* source,
                    const float* gradient, float* dw) {
    const Primitive& primitive = prepared.linear.primitive;
    void *scratch = nullptr, *more = nullptr, *packed = dw;
    if (!TakeScratch(context, primitive, &scratch)) return false;
    if (prepared.unpacking) {
      packed = context.Scratch(ResultBytes(primitive));
      if (!packed || !TakeScratch(context, prepared.unpacking, &more)) return false;
    }
    if (!primitive.Run({source, gradient, {}, nullptr, packed}, scratch)) return false;
    return !prepared.unpacking ||
           prepared.unpacking.Run({.source = packed, .destination = dw}, more);
  }
};

}  // namespace

std::unique_ptr<FastKernel> MakeConvToSource(const KernelSpec& spec) {
  return std::make_unique<ToSource>(*spec.main);
}

std::unique_ptr<FastKernel> MakeConvToWeights(const KernelSpec& spec) {
  return std::make_unique<ToWeights>(*spec.main);
}

}  // namespace roundel::engine
