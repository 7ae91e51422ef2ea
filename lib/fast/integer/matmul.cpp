// Gemm and MatMul of codes with constant weights; the leading axes are rows.

#include "lib/fast/integer/kernels.h"
#include "lib/fast/integer/linear.h"
#include "lib/fast/onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

struct PreparedProduct {
  Primitive primitive;
  PackedTensor weights;
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
    const PreparedProduct& prepared =
        cache_.Get(ShapeKey({&flat}), [&] { return Make(flat, columns); });
    return prepared.weights.defined() && Run(context, prepared, flat[0], shape);
  }

 private:
  PreparedProduct Make(const Shape& x, int64_t columns) {
    const Shape dims = {columns, x[1]};
    const std::vector<int64_t> strides =
        transposed_ ? std::vector<int64_t>{x[1], 1} : std::vector<int64_t>{1, columns};
    PreparedProduct prepared;
    prepared.primitive =
        MakeInnerProduct({DescOf(x, Layout::kPlain, linear_.source->grid.storage_type()),
                          AnyDesc(dims, DType::kInt8),
                          {},
                          DescOf({x[0], columns}, Layout::kPlain, DType::kInt32)});
    if (prepared.primitive)
      prepared.weights = packed_.Get(StridedDesc(dims, strides, DType::kInt8), linear_.weights,
                                     prepared.primitive);
    return prepared;
  }

  bool Run(FastContext& context, const PreparedProduct& prepared, int64_t rows,
           const Shape& shape) const {
    const uint8_t* source = context.Codes(0, Layout::kPlain);
    void* sums = context.Scratch(NumElements(shape) * 4);
    void* scratch = nullptr;
    if (!source || !sums || !TakeScratch(context, prepared.primitive, &scratch)) return false;
    if (!prepared.primitive.Run({source, nullptr, prepared.weights, nullptr, sums}, scratch))
      return false;
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
