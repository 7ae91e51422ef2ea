// Conv on codes, channels-last.

#include "lib/fast/integer/kernels.h"
#include "lib/fast/integer/linear.h"
#include "lib/fast/integer/padding.h"
#include "lib/fast/onednn/conv_shape.h"
#include "lib/fast/onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

struct PreparedConv {
  bool direct = false;  // the primitive writes codes, not sums
  Primitive primitive;
  PackedTensor weights;
  Shape padded;  // of the source, if it is padded explicitly
};

class IntegerConv : public FastKernel {
 public:
  IntegerConv(const KernelSpec& spec, IntegerLinear linear)
      : node_(*spec.main), groups_(spec.main->Int("group", 1)), linear_(std::move(linear)) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    // Explicit padding supports one or two spatial axes.
    if (!x || linear_.weights.rank() < 3 || linear_.weights.rank() > 4) return false;
    const Shape source = x->shape;
    const auto conv = ResolveConv(node_, groups_, source, linear_.weights.shape());
    if (!conv) return false;
    PreparedConv& prepared = cache_.Get(
        ShapeKey({&source}), [&] { return Prepare(source, conv->result, conv->window); });
    return prepared.weights.defined() && Run(context, prepared, source, *conv);
  }

 private:
  bool PadsExplicitly(const Window& window) const {
    return HasPadding(window) && linear_.source->params[0].zero_point != 0;
  }

  PreparedConv Prepare(const Shape& x, const Shape& y, const Window& window) {
    // For results as codes the primitive rounds sum * multiplier in the same way, and saturates.
    const Requantizer& r = linear_.requantizer;
    const bool direct =
        linear_.exact_in_float && r.zero_point == 0 && !r.is_signed && r.low == 0 && r.high == 255;
    for (const bool codes : {direct, false}) {
      PreparedConv prepared;
      prepared.direct = codes;
      if (Make(x, y, window, &prepared)) return prepared;
    }
    return {};
  }

  bool Make(const Shape& x, const Shape& y, Window window, PreparedConv* out) {
    Shape source = x;
    if (PadsExplicitly(window)) {
      source = TakePadding(x, &window);
      if (!DimsFit(source)) return false;
      out->padded = source;
    }
    const Shape grouped = GroupedShape(linear_.weights.shape(), groups_);
    Epilogue epilogue;
    if (out->direct) epilogue.multiplier = linear_.requantizer.multiplier;
    const DType result = out->direct ? DType::kUint8 : DType::kInt32;
    out->primitive = MakeConvolution(
        {DescOf(source, Layout::kChannelsLast, linear_.source->grid.storage_type()),
         AnyDesc(grouped, DType::kInt8), out->direct ? BiasDesc() : TensorDesc(),
         DescOf(y, Layout::kChannelsLast, result)},
        {window.strides, window.dilations, window.pads_begin, ExactEndPads(window)}, epilogue);
    if (!out->primitive) return false;
    out->weights =
        packed_.Get(DescOf(grouped, Layout::kPlain, DType::kInt8), linear_.weights, out->primitive);
    return out->weights.defined();
  }

  TensorDesc BiasDesc() const {
    return DescOf({std::ssize(linear_.requantizer.bias)}, Layout::kPlain, DType::kInt32);
  }

  bool Run(FastContext& context, const PreparedConv& prepared, const Shape& x,
           const ConvShape& conv) {
    const Shape& y = conv.result;
    const uint8_t* source = context.Codes(0, Layout::kChannelsLast);
    if (source && !prepared.padded.empty())
      source = PadCodes(context, source, x, conv.window, prepared.padded,
                        linear_.source->params[0].zero_point & 0xff);
    void* scratch = nullptr;
    if (!source || !TakeScratch(context, prepared.primitive, &scratch)) return false;
    uint8_t* codes = context.OutputCodes(y, Layout::kChannelsLast, *linear_.result);
    void* destination = prepared.direct || !codes ? codes : context.Scratch(NumElements(y) * 4);
    if (!destination) return false;
    const void* bias = prepared.direct ? linear_.requantizer.bias.data() : nullptr;
    if (!prepared.primitive.Run({source, nullptr, prepared.weights, bias, destination}, scratch))
      return false;
    if (!prepared.direct)
      linear_.requantizer.Run(static_cast<const int32_t*>(destination), NumElements(y) / y[1],
                              codes);
    return true;
  }

  const graph::Node node_;
  const int64_t groups_;
  const IntegerLinear linear_;
  PackedWeights packed_;
  PreparedCache<PreparedConv> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerConv(const KernelSpec& spec) {
  auto linear = IntegerLinear::Of(spec, 0);
  if (!linear) return nullptr;
  return std::make_unique<IntegerConv>(spec, std::move(*linear));
}

}  // namespace roundel::engine
