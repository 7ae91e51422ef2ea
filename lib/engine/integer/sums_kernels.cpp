// ConvInteger, channels-last, and MatMulInteger with constant weights.

#include "lib/engine/integer/kernels.h"
#include "lib/engine/integer/padding.h"
#include "lib/engine/integer/sums.h"
#include "lib/engine/kernels_onednn/conv_shape.h"
#include "lib/engine/kernels_onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

using dnnl::memory;

// One primitive for one input shape.
struct Prepared {
  bool usable = false;
  dnnl::primitive primitive;
  memory::desc source, destination, scratchpad;
  memory weights;
  Shape padded;  // of the source, if it has to be padded by hand
};

memory::data_type SourceType(const IntegerSums& sums, const SumsInput& input) {
  return sums.floats()     ? memory::data_type::f32
         : input.is_signed ? memory::data_type::s8
                           : memory::data_type::u8;
}
memory::data_type WeightType(const IntegerSums& sums) {
  return sums.floats() ? memory::data_type::f32 : memory::data_type::s8;
}
memory::data_type SumType(const IntegerSums& sums) {
  return sums.floats() ? memory::data_type::f32 : memory::data_type::s32;
}

// Takes what the descriptor asks for; false if there is no fast implementation.
template <typename Primitive>
bool Take(const typename Primitive::primitive_desc& descriptor, const memory::desc& plain,
          const IntegerSums& sums, PackedWeights* packed, Prepared* out) {
  if (!IsFastImplementation(descriptor.impl_info_str())) return false;
  out->primitive = Primitive(descriptor);
  out->source = descriptor.src_desc();
  out->destination = descriptor.dst_desc();
  out->scratchpad = descriptor.scratchpad_desc();
  out->weights = packed->Get(plain, sums.weights(), descriptor.weights_desc());
  return static_cast<bool>(out->weights);
}

bool RunPrepared(FastContext& context, const Prepared& prepared, const void* source, void* sums) {
  DnnlArguments arguments;
  if (!source || !sums || !AddScratchpad(context, prepared.scratchpad, &arguments)) return false;
  arguments.insert({{DNNL_ARG_SRC, Wrap(prepared.source, source)},
                    {DNNL_ARG_WEIGHTS, prepared.weights},
                    {DNNL_ARG_DST, Wrap(prepared.destination, sums)}});
  return Execute(prepared.primitive, arguments);
}

PreparedCache<Prepared>::Key KeyOf(const Shape& shape, const SumsInput& input, bool by_hand) {
  auto key = ShapeKey({&shape});
  key.push_back(input.is_signed * 2 + by_hand);
  return key;
}

template <typename Make>
Prepared& GetPrepared(PreparedCache<Prepared>* cache, const PreparedCache<Prepared>::Key& key,
                      const Make& make) {
  return cache->Get(key, [&] {
    Prepared prepared;
    try {
      prepared.usable = make(&prepared);
    } catch (const std::exception&) {
      prepared.usable = false;
    }
    return prepared;
  });
}

dnnl::primitive_attr OwnScratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

class ConvSums : public FastKernel {
 public:
  ConvSums(const KernelSpec& spec, IntegerSums sums)
      : node_(*spec.main), groups_(spec.main->Int("group", 1)), sums_(std::move(sums)) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    // Padding by hand knows rows and columns.
    if (!x || x->shape.size() < 3 || x->shape.size() > 4) return false;
    const Shape source = x->shape;
    const auto conv = ResolveConv(node_, groups_, source, sums_.weight_shape());
    if (!conv) return false;
    const auto input = sums_.Read(context, conv->result, 1, Layout::kChannelsLast);
    if (!input) return false;
    const bool by_hand = !sums_.floats() && input->zero_point != 0 && HasPadding(conv->window);
    const Prepared& prepared =
        GetPrepared(&cache_, KeyOf(source, *input, by_hand), [&](Prepared* out) {
          return Make(source, conv->result, conv->window, *input, by_hand, out);
        });
    return prepared.usable && Run(context, prepared, source, *conv, *input);
  }

 private:
  bool Make(const Shape& x, const Shape& y, Window window, const SumsInput& input, bool by_hand,
            Prepared* out) {
    Shape source = x;
    if (by_hand) source = out->padded = TakePadding(x, &window);
    if (!DimsFit(source)) return false;
    const Shape grouped = GroupedShape(sums_.weight_shape(), groups_);
    const dnnl::convolution_forward::primitive_desc descriptor(
        {dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
         LayoutDesc(source, Layout::kChannelsLast, SourceType(sums_, input)),
         memory::desc(grouped, WeightType(sums_), memory::format_tag::any), memory::desc(),
         LayoutDesc(y, Layout::kChannelsLast, SumType(sums_)), window.strides,
         Gaps(window.dilations), window.pads_begin, ExactEndPads(window)},
        OwnScratchpad(), OneDnnEngine());
    return Take<dnnl::convolution_forward>(
        descriptor, LayoutDesc(grouped, Layout::kPlain, WeightType(sums_)), sums_, &packed_, out);
  }

  bool Run(FastContext& context, const Prepared& prepared, const Shape& x, const ConvShape& conv,
           const SumsInput& input) {
    const auto* codes = static_cast<const uint8_t*>(context.Bytes(0, Layout::kChannelsLast));
    if (codes && !prepared.padded.empty())
      codes = PadCodes(context, codes, x, conv.window, prepared.padded, input.zero_point & 0xff);
    const void* source = sums_.Source(context, codes, NumElements(x), input);
    void* sums = source ? sums_.Destination(context, conv.result, Layout::kChannelsLast) : nullptr;
    if (!RunPrepared(context, prepared, source, sums)) return false;
    sums_.Finish(input, NumElements(conv.result) / conv.result[1], sums);
    return true;
  }

  const graph::Node node_;
  const int64_t groups_;
  IntegerSums sums_;
  PackedWeights packed_;
  PreparedCache<Prepared> cache_;
};

// [..., M, K] x constant [K, N]; the leading axes count as rows.
class ProductSums : public FastKernel {
 public:
  explicit ProductSums(IntegerSums sums) : sums_(std::move(sums)) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    const int64_t inner = sums_.weight_shape()[0], columns = sums_.channels();
    if (!x || x->shape.size() < 2 || x->shape.back() != inner) return false;
    const Shape flat = {NumElements(x->shape) / inner, inner};
    Shape shape = x->shape;
    shape.back() = columns;
    if (!DimsFit(flat) || !DimsFit({flat[0], columns})) return false;
    const auto input = sums_.Read(context, shape, std::ssize(shape) - 1, Layout::kPlain);
    if (!input) return false;
    const Prepared& prepared = GetPrepared(&cache_, KeyOf(flat, *input, false), [&](Prepared* out) {
      return Make(flat, columns, *input, out);
    });
    if (!prepared.usable) return false;
    const auto* codes = static_cast<const uint8_t*>(context.Bytes(0, Layout::kPlain));
    const void* source = sums_.Source(context, codes, NumElements(flat), *input);
    void* sums = source ? sums_.Destination(context, shape, Layout::kPlain) : nullptr;
    if (!RunPrepared(context, prepared, source, sums)) return false;
    sums_.Finish(*input, flat[0], sums);
    return true;
  }

 private:
  bool Make(const Shape& x, int64_t columns, const SumsInput& input, Prepared* out) {
    const Shape dims = {columns, x[1]};
    const memory::desc plain(dims, WeightType(sums_), std::vector<int64_t>{1, columns});
    const dnnl::inner_product_forward::primitive_desc descriptor(
        {dnnl::prop_kind::forward_inference,
         LayoutDesc(x, Layout::kPlain, SourceType(sums_, input)),
         memory::desc(dims, WeightType(sums_), memory::format_tag::any), memory::desc(),
         LayoutDesc({x[0], columns}, Layout::kPlain, SumType(sums_))},
        OwnScratchpad(), OneDnnEngine());
    return Take<dnnl::inner_product_forward>(descriptor, plain, sums_, &packed_, out);
  }

  IntegerSums sums_;
  PackedWeights packed_;
  PreparedCache<Prepared> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeConvSums(const KernelSpec& spec) {
  auto sums = IntegerSums::Of(spec, 0);
  if (!sums) return nullptr;
  return std::make_unique<ConvSums>(spec, std::move(*sums));
}

std::unique_ptr<FastKernel> MakeProductSums(const KernelSpec& spec) {
  if (spec.constants.size() < 2 || !spec.constants[1] || spec.constants[1]->rank() != 2)
    return nullptr;
  auto sums = IntegerSums::Of(spec, 1);
  if (!sums) return nullptr;
  return std::make_unique<ProductSums>(std::move(*sums));
}

}  // namespace roundel::engine
