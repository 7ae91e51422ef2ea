// Gemm and MatMul of codes with constant weights; the leading axes count as rows.

#include "lib/engine/integer/kernels.h"
#include "lib/engine/integer/linear.h"
#include "lib/engine/kernels_onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

using dnnl::memory;

struct PreparedProduct {
  bool usable = false;
  dnnl::primitive primitive;
  memory::desc source, destination, scratchpad;
  memory weights;
};

class IntegerMatMul : public FastKernel {
 public:
  // Weights [K, N], or [N, K] if `transposed`.
  IntegerMatMul(bool gemm, bool transposed, IntegerLinear linear)
      : gemm_(gemm), transposed_(transposed), linear_(std::move(linear)) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    const int64_t inner = linear_.weights.dim(transposed_ ? 1 : 0);
    const int64_t columns = linear_.weights.dim(transposed_ ? 0 : 1);
    if (!x || x->shape.size() < 2 || x->shape.back() != inner || (gemm_ && x->shape.size() != 2))
      return false;
    const Shape flat = {inner == 0 ? 0 : NumElements(x->shape) / inner, inner};
    if (!DimsFit(flat) || !DimsFit({flat[0], columns}) || !DimsFit(linear_.weights.shape()))
      return false;
    Shape shape = x->shape;
    shape.back() = columns;
    PreparedProduct& prepared = cache_.Get(ShapeKey({&flat}), [&] {
      try {
        return Make(flat, columns);
      } catch (const std::exception&) {
        return PreparedProduct{};
      }
    });
    return prepared.usable && Run(context, prepared, flat[0], shape);
  }

 private:
  PreparedProduct Make(const Shape& x, int64_t columns) {
    const Shape dims = {columns, x[1]};
    const std::vector<int64_t> strides =
        transposed_ ? std::vector<int64_t>{x[1], 1} : std::vector<int64_t>{1, columns};
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::inner_product_forward::primitive_desc descriptor(
        {dnnl::prop_kind::forward_inference,
         LayoutDesc(x, Layout::kPlain, ByteType(*linear_.source)),
         memory::desc(dims, memory::data_type::s8, memory::format_tag::any), memory::desc(),
         LayoutDesc({x[0], columns}, Layout::kPlain, memory::data_type::s32)},
        attributes, OneDnnEngine());
    PreparedProduct prepared;
    if (!IsFastImplementation(descriptor.impl_info_str())) return prepared;
    prepared.primitive = dnnl::inner_product_forward(descriptor);
    prepared.source = descriptor.src_desc();
    prepared.destination = descriptor.dst_desc();
    prepared.scratchpad = descriptor.scratchpad_desc();
    prepared.weights = packed_.Get(memory::desc(dims, memory::data_type::s8, strides),
                                   linear_.weights, descriptor.weights_desc());
    prepared.usable = static_cast<bool>(prepared.weights);
    return prepared;
  }

  bool Run(FastContext& context, const PreparedProduct& prepared, int64_t rows,
           const Shape& shape) const {
    const uint8_t* source = context.Codes(0, Layout::kPlain);
    void* sums = context.Scratch(NumElements(shape) * 4);
    DnnlArguments arguments;
    if (!source || !sums || !AddScratchpad(context, prepared.scratchpad, &arguments)) return false;
    arguments.insert({{DNNL_ARG_SRC, Wrap(prepared.source, source)},
                      {DNNL_ARG_WEIGHTS, prepared.weights},
                      {DNNL_ARG_DST, Wrap(prepared.destination, sums)}});
    if (!Execute(prepared.primitive, arguments)) return false;
    uint8_t* codes = context.OutputCodes(shape, Layout::kPlain, *linear_.result);
    if (!codes) return false;
    linear_.requantizer.Run(static_cast<const int32_t*>(sums), rows, codes);
    return true;
  }

  const bool gemm_, transposed_;
  const IntegerLinear linear_;
  PackedWeights packed_;
  PreparedCache<PreparedProduct> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeIntegerMatMul(const KernelSpec& spec) {
  const graph::Node& node = *spec.main;
  const bool gemm = node.Is("Gemm");
  if (node.Int("transA", 0) != 0 || node.Float("alpha", 1) != 1 || node.Float("beta", 1) != 1)
    return nullptr;
  if (spec.constants.size() < 2 || !spec.constants[1] || spec.constants[1]->rank() != 2)
    return nullptr;
  const bool transposed = gemm && node.Int("transB", 0) != 0;
  auto linear = IntegerLinear::Of(spec, transposed ? 0 : 1);
  if (!linear) return nullptr;
  return std::make_unique<IntegerMatMul>(gemm, transposed, std::move(*linear));
}

}  // namespace roundel::engine
