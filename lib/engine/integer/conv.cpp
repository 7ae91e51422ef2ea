// Conv on codes, channels-last.

#include "lib/engine/integer/kernels.h"
#include "lib/engine/integer/linear.h"
#include "lib/engine/integer/padding.h"
#include "lib/engine/kernels_onednn/conv_shape.h"
#include "lib/engine/kernels_onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

using dnnl::memory;

struct PreparedConv {
  bool usable = false;
  bool direct = false;  // the primitive puts out codes, not sums
  dnnl::primitive primitive;
  memory::desc source, destination, scratchpad;
  memory weights;
  Shape padded;  // of the source, if it has to be padded by hand
};

class IntegerConv : public FastKernel {
 public:
  IntegerConv(const KernelSpec& spec, IntegerLinear linear)
      : node_(*spec.main), groups_(spec.main->Int("group", 1)), linear_(std::move(linear)) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    // Padding by hand knows rows and columns.
    if (!x || linear_.weights.rank() < 3 || linear_.weights.rank() > 4) return false;
    const Shape source = x->shape;
    const auto conv = ResolveConv(node_, groups_, source, linear_.weights.shape());
    if (!conv) return false;
    PreparedConv& prepared =
        cache_.Get(ShapeKey({&source}), [&] { return Prepare(source, conv->result, conv->window); });
    return prepared.usable && Run(context, prepared, source, *conv);
  }

 private:
  bool PadsByHand(const Window& window) const {
    return HasPadding(window) && linear_.source->params[0].zero_point != 0;
  }

  PreparedConv Prepare(const Shape& x, const Shape& y, const Window& window) {
    // With codes as results the primitive rounds sum * multiplier as we do, and stores saturated.
    const Requantizer& r = linear_.requantizer;
    const bool direct = linear_.exact_in_float && r.zero_point == 0 && !r.is_signed && r.low == 0 &&
                        r.high == 255;
    for (const bool codes : {direct, false}) {
      PreparedConv prepared;
      prepared.direct = codes;
      try {
        prepared.usable = Make(x, y, window, &prepared);
      } catch (const std::exception&) {
        prepared.usable = false;
      }
      if (prepared.usable) return prepared;
    }
    return {};
  }

  bool Make(const Shape& x, const Shape& y, Window window, PreparedConv* out) {
    Shape source = x;
    if (PadsByHand(window)) {
      source = TakePadding(x, &window);
      if (!DimsFit(source)) return false;
      out->padded = source;
    }
    const Shape grouped = GroupedShape(linear_.weights.shape(), groups_);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (out->direct) attributes.set_output_scales(1 << 1, linear_.requantizer.multiplier);
    const auto result = out->direct ? memory::data_type::u8 : memory::data_type::s32;
    const dnnl::convolution_forward::primitive_desc descriptor(
        {dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
         LayoutDesc(source, Layout::kChannelsLast, ByteType(*linear_.source)),
         memory::desc(grouped, memory::data_type::s8, memory::format_tag::any),
         out->direct ? BiasDesc() : memory::desc(), LayoutDesc(y, Layout::kChannelsLast, result),
         window.strides, Gaps(window.dilations), window.pads_begin, ExactEndPads(window)},
        attributes, OneDnnEngine());
    if (!IsFastImplementation(descriptor.impl_info_str())) return false;
    out->primitive = dnnl::convolution_forward(descriptor);
    out->source = descriptor.src_desc();
    out->destination = descriptor.dst_desc();
    out->scratchpad = descriptor.scratchpad_desc();
    out->weights = packed_.Get(LayoutDesc(grouped, Layout::kPlain, memory::data_type::s8),
                               linear_.weights, descriptor.weights_desc());
    return static_cast<bool>(out->weights);
  }

  memory::desc BiasDesc() const {
    return {{static_cast<int64_t>(linear_.requantizer.bias.size())},
            memory::data_type::s32,
            memory::format_tag::a};
  }

  bool Run(FastContext& context, const PreparedConv& prepared, const Shape& x,
           const ConvShape& conv) {
    const Shape& y = conv.result;
    const uint8_t* source = context.Codes(0, Layout::kChannelsLast);
    if (source && !prepared.padded.empty())
      source = PadCodes(context, source, x, conv.window, prepared.padded,
                        linear_.source->params[0].zero_point & 0xff);
    DnnlArguments arguments;
    if (!source || !AddScratchpad(context, prepared.scratchpad, &arguments)) return false;
    uint8_t* codes = context.OutputCodes(y, Layout::kChannelsLast, *linear_.result);
    void* destination = prepared.direct || !codes ? codes : context.Scratch(NumElements(y) * 4);
    if (!destination) return false;
    arguments.insert({{DNNL_ARG_SRC, Wrap(prepared.source, source)},
                      {DNNL_ARG_WEIGHTS, prepared.weights},
                      {DNNL_ARG_DST, Wrap(prepared.destination, destination)}});
    if (prepared.direct)
      arguments.insert({DNNL_ARG_BIAS, Wrap(BiasDesc(), linear_.requantizer.bias.data())});
    if (!Execute(prepared.primitive, arguments)) return false;
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
