// ConvInteger, channels-last, and MatMulInteger with constant weights.

#include "lib/fast/integer/kernels.h"
#include "lib/fast/integer/padding.h"
#include "lib/fast/integer/sums.h"
#include "lib/fast/onednn/conv_shape.h"
#include "lib/fast/onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

// One primitive for one input shape.
struct Prepared {
  Primitive primitive;
  PackedTensor weights;  // undefined: no fast implementation
  Shape padded;          // of the source, if it is padded explicitly
};

DType SourceType(const IntegerSums& sums, const SumsInput& input) {
  return sums.floats() ? DType::kFloat : input.is_signed ? DType::kInt8 : DType::kUint8;
}
DType WeightType(const IntegerSums& sums) { return sums.floats() ? DType::kFloat : DType::kInt8; }
DType SumType(const IntegerSums& sums) { return sums.floats() ? DType::kFloat : DType::kInt32; }

bool RunPrepared(FastContext& context, const Prepared& prepared, const void* source, void* sums) {
  void* scratch = nullptr;
  return source && sums && TakeScratch(context, prepared.primitive, &scratch) &&
         prepared.primitive.Run({source, nullptr, prepared.weights, nullptr, sums}, scratch);
}

PreparedCache<Prepared>::Key KeyOf(const Shape& shape, const SumsInput& input, bool by_hand) {
  auto key = ShapeKey({&shape});
  key.push_back(input.is_signed * 2 + by_hand);
  return key;
}

class ConvSums : public FastKernel {
 public:
  ConvSums(const KernelSpec& spec, IntegerSums sums)
      : node_(*spec.main), groups_(spec.main->Int("group", 1)), sums_(std::move(sums)) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    // Explicit padding supports one or two spatial axes.
    if (!x || x->shape.size() < 3 || x->shape.size() > 4) return false;
    const Shape source = x->shape;
    const auto conv = ResolveConv(node_, groups_, source, sums_.weight_shape());
    if (!conv) return false;
    const auto input = sums_.Read(context, conv->result, 1, Layout::kChannelsLast);
    if (!input) return false;
    const bool by_hand = !sums_.floats() && input->zero_point != 0 && HasPadding(conv->window);
    const Prepared& prepared = cache_.Get(KeyOf(source, *input, by_hand), [&] {
      return Make(source, conv->result, conv->window, *input, by_hand);
    });
    return prepared.weights.defined() && Run(context, prepared, source, *conv, *input);
  }

 private:
  Prepared Make(const Shape& x, const Shape& y, Window window, const SumsInput& input,
                bool by_hand) {
    Prepared made;
    Shape source = x;
    if (by_hand) source = made.padded = TakePadding(x, &window);
    if (!DimsFit(source)) return {};
    const Shape grouped = GroupedShape(sums_.weight_shape(), groups_);
    made.primitive = MakeConvolution(
        {DescOf(source, Layout::kChannelsLast, SourceType(sums_, input)),
         AnyDesc(grouped, WeightType(sums_)),
         {},
         DescOf(y, Layout::kChannelsLast, SumType(sums_))},
        {window.strides, window.dilations, window.pads_begin, ExactEndPads(window)});
    if (made.primitive)
      made.weights = packed_.Get(DescOf(grouped, Layout::kPlain, WeightType(sums_)),
                                 sums_.weights(), made.primitive);
    return made;
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

// [..., M, K] x constant [K, N]; the leading axes are rows.
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
    const Prepared& prepared =
        cache_.Get(KeyOf(flat, *input, false), [&] { return Make(flat, columns, *input); });
    if (!prepared.weights.defined()) return false;
    const auto* codes = static_cast<const uint8_t*>(context.Bytes(0, Layout::kPlain));
    const void* source = sums_.Source(context, codes, NumElements(flat), *input);
    void* sums = source ? sums_.Destination(context, shape, Layout::kPlain) : nullptr;
    if (!RunPrepared(context, prepared, source, sums)) return false;
    sums_.Finish(*input, flat[0], sums);
    return true;
  }

 private:
  Prepared Make(const Shape& x, int64_t columns, const SumsInput& input) {
    const Shape dims = {columns, x[1]};
    Prepared made;
    made.primitive = MakeInnerProduct({DescOf(x, Layout::kPlain, SourceType(sums_, input)),
                                       AnyDesc(dims, WeightType(sums_)),
                                       {},
                                       DescOf({x[0], columns}, Layout::kPlain, SumType(sums_))});
    if (made.primitive)
      made.weights = packed_.Get(StridedDesc(dims, {1, columns}, WeightType(sums_)),
                                 sums_.weights(), made.primitive);
    return made;
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
