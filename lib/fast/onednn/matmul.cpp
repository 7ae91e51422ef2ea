// MatMul and Gemm: inner product for constant weights (packed once), else matmul.

#include <algorithm>

#include "lib/fast/onednn/kernels.h"
#include "lib/fast/onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

// [..., M, K] x constant [K, N] (or [N, K]); the leading axes are rows.
class InnerProductKernel : public FastKernel {
 public:
  explicit InnerProductKernel(const KernelSpec& spec)
      : gemm_(spec.main->Is("Gemm")),
        transposed_(gemm_ && spec.main->Int("transB", 0) != 0),
        weights_(spec.weights),
        bias_(spec.bias),
        min_rank_(spec.min_rank),
        post_ops_(spec) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    const int64_t inner = weights_.dim(transposed_ ? 1 : 0);
    const int64_t columns = weights_.dim(transposed_ ? 0 : 1);
    if (!x || x->dtype() != DType::kFloat || x->shape.size() < 2 || x->shape.back() != inner ||
        (gemm_ && x->shape.size() != 2) || min_rank_ > static_cast<int64_t>(x->shape.size()))
      return false;
    const Shape flat = {inner == 0 ? 0 : NumElements(x->shape) / inner, inner};
    if (!DimsFit(flat) || !DimsFit({flat[0], columns}) || !DimsFit(weights_.shape())) return false;
    PreparedLinear& prepared = cache_.Get(ShapeKey({&flat}), [&] {
      return post_ops_.Prepare([&](const Epilogue& epilogue, PreparedLinear* out) {
        return Make(flat, columns, epilogue, out);
      });
    });
    Shape shape = x->shape;
    shape.back() = columns;
    const bool done = RunLinear(context, prepared, post_ops_.residual(), shape, Layout::kPlain);
    if (borrows_) weights_.ReleasePages();
    return done;
  }

 private:
  bool Make(const Shape& x, int64_t columns, const Epilogue& epilogue, PreparedLinear* out) {
    const Shape dims = {columns, x[1]};
    const std::vector<int64_t> strides =
        transposed_ ? std::vector<int64_t>{x[1], 1} : std::vector<int64_t>{1, columns};
    const TensorDesc plain = StridedDesc(dims, strides);
    const auto make = [&](const TensorDesc& weights) {
      return MakeInnerProduct({DescOf(x, Layout::kPlain), weights, BiasDesc(bias_),
                               DescOf({x[0], columns}, Layout::kPlain)},
                              epilogue);
    };
    out->primitive = make(AnyDesc(dims));
    if (!out->primitive) return false;
    out->weights = packed_.Get(plain, weights_, out->primitive);
    if (!out->weights.defined()) {  // no memory for a copy: uses the model's order, which is slower
      out->primitive = make(plain);
      plain_ = weights_.Values();
      out->weights = PackedTensor::Borrow(plain, plain_.raw());
      borrows_ = true;
    }
    out->bias = BiasData(bias_);
    return static_cast<bool>(out->primitive);
  }

  const bool gemm_, transposed_;
  const LinearWeights weights_;
  const Tensor bias_;
  const int64_t min_rank_;
  const LinearPostOps post_ops_;
  PackedWeights packed_;
  Tensor plain_;          // the weights if they are borrowed
  bool borrows_ = false;  // because memory is exhausted
  PreparedCache<PreparedLinear> cache_;
};

// Two inputs of rank >= 2 whose leading axes broadcast.
class MatMulKernel : public FastKernel {
 public:
  explicit MatMulKernel(const KernelSpec& spec) : min_rank_(spec.min_rank), post_ops_(spec) {}

  bool Run(FastContext& context) override {
    const Value *a = context.input(0), *b = context.input(1);
    if (!a || !b || a->dtype() != DType::kFloat || b->dtype() != DType::kFloat) return false;
    const size_t rank = std::max(a->shape.size(), b->shape.size());
    if (a->shape.size() < 2 || b->shape.size() < 2 || rank > kMaxPrimitiveRank ||
        min_rank_ > static_cast<int64_t>(rank))
      return false;
    Shape left = a->shape, right = b->shape;
    left.insert(left.begin(), rank - left.size(), 1);
    right.insert(right.begin(), rank - right.size(), 1);
    Shape shape = left;
    for (size_t i = 0; i + 2 < rank; ++i) {
      if (left[i] != right[i] && left[i] != 1 && right[i] != 1) return false;
      shape[i] = left[i] == 1 ? right[i] : left[i];
    }
    shape[rank - 1] = right[rank - 1];
    if (left[rank - 1] != right[rank - 2] || !DimsFit(left) || !DimsFit(right) || !DimsFit(shape))
      return false;
    PreparedLinear& prepared = cache_.Get(ShapeKey({&left, &right}), [&] {
      return post_ops_.Prepare([&](const Epilogue& epilogue, PreparedLinear* out) {
        return Make(left, right, shape, epilogue, out);
      });
    });
    return RunLinear(context, prepared, post_ops_.residual(), shape, Layout::kPlain);
  }

 private:
  static bool Make(const Shape& left, const Shape& right, const Shape& shape,
                   const Epilogue& epilogue, PreparedLinear* out) {
    out->primitive = MakeMatrixProduct({DescOf(left, Layout::kPlain),
                                        DescOf(right, Layout::kPlain),
                                        {},
                                        DescOf(shape, Layout::kPlain)},
                                       epilogue);
    return static_cast<bool>(out->primitive);
  }

  const int64_t min_rank_;
  const LinearPostOps post_ops_;
  PreparedCache<PreparedLinear> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeMatMulKernel(const KernelSpec& spec) {
  const bool gemm = spec.main->Is("Gemm");
  if (spec.weights.defined() && spec.main->Int("transA", 0) == 0)
    return std::make_unique<InnerProductKernel>(spec);
  if (gemm) return nullptr;
  return std::make_unique<MatMulKernel>(spec);
}

}  // namespace roundel::engine
