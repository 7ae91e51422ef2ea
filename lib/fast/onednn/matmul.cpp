// MatMul, FusedMatMul and Gemm: inner product for constant weights (packed once), else matmul.

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

// A matrix operand [..., rows, columns]; of a transposed one, `stored` is [..., columns, rows].
TensorDesc MatrixDesc(const Shape& stored, bool transposed) {
  TensorDesc desc = DescOf(stored, Layout::kPlain);
  const size_t rank = stored.size();
  if (!transposed) return desc;
  std::swap(desc.shape[rank - 2], desc.shape[rank - 1]);
  std::swap(desc.strides[rank - 2], desc.strides[rank - 1]);
  return desc;
}

// alpha * a' * b' + c: two inputs of rank >= 2, either or both transposed, whose leading axes
// broadcast.
class ProductKernel : public FastKernel {
 public:
  ProductKernel(const KernelSpec& spec, std::vector<PostOp> post_ops)
      : transposed_a_(spec.main->Int("transA", 0) != 0),
        transposed_b_(spec.main->Int("transB", 0) != 0),
        max_rank_(spec.main->Is("Gemm") ? 2 : kMaxPrimitiveRank),
        min_rank_(spec.min_rank),
        post_ops_(std::move(post_ops)) {}

  bool Run(FastContext& context) override {
    const Value *a = context.input(0), *b = context.input(1);
    if (!a || !b || a->dtype() != DType::kFloat || b->dtype() != DType::kFloat) return false;
    const size_t rank = std::max(a->shape.size(), b->shape.size());
    if (a->shape.size() < 2 || b->shape.size() < 2 || rank > max_rank_ ||
        min_rank_ > static_cast<int64_t>(rank))
      return false;
    Shape left = a->shape, right = b->shape;
    left.insert(left.begin(), rank - left.size(), 1);
    right.insert(right.begin(), rank - right.size(), 1);
    if (!DimsFit(left) || !DimsFit(right)) return false;
    const TensorDesc rows = MatrixDesc(left, transposed_a_),
                     columns = MatrixDesc(right, transposed_b_);
    Shape shape;
    if (!Multiply(rows.shape, columns.shape, &shape) || !DimsFit(shape)) return false;
    PreparedLinear& prepared = cache_.Get(ShapeKey({&left, &right}), [&] {
      return post_ops_.Prepare([&](const Epilogue& epilogue, PreparedLinear* out) {
        out->primitive =
            MakeMatrixProduct({rows, columns, {}, DescOf(shape, Layout::kPlain)}, epilogue);
        return static_cast<bool>(out->primitive);
      });
    });
    return RunLinear(context, prepared, post_ops_.residual(), shape, Layout::kPlain);
  }

 private:
  // The shape of a product of operands of one rank; false if they do not fit.
  static bool Multiply(const Shape& left, const Shape& right, Shape* shape) {
    const size_t rank = left.size();
    *shape = left;
    for (size_t i = 0; i + 2 < rank; ++i) {
      if (left[i] != right[i] && left[i] != 1 && right[i] != 1) return false;
      (*shape)[i] = left[i] == 1 ? right[i] : left[i];
    }
    (*shape)[rank - 1] = right[rank - 1];
    return left[rank - 1] == right[rank - 2];
  }

  const bool transposed_a_, transposed_b_;
  const size_t max_rank_;
  const int64_t min_rank_;
  const LinearPostOps post_ops_;
  PreparedCache<PreparedLinear> cache_;
};

// alpha and c are the first operations on the sums.
std::unique_ptr<FastKernel> MakeProduct(const KernelSpec& spec) {
  const graph::Node& node = *spec.main;
  if (node.Int("transBatchA", 0) != 0 || node.Int("transBatchB", 0) != 0) return nullptr;
  std::vector<PostOp> ops;
  if (const float alpha = node.Float("alpha", 1); alpha != 1)
    ops.push_back({.kind = PostOpKind::kLinear, .alpha = alpha});
  const bool addend = node.Is("Gemm") && !node.input(2).empty();
  if (addend && node.Float("beta", 1) != 1) return nullptr;
  if (addend) ops.push_back({.kind = PostOpKind::kAdd, .input = 2});
  for (const PostOp& op : spec.post_ops) {
    if (addend && op.kind == PostOpKind::kAdd) return nullptr;  // one of them at most
    ops.push_back(op);
  }
  return std::make_unique<ProductKernel>(spec, std::move(ops));
}

}  // namespace

std::unique_ptr<FastKernel> MakeMatMulKernel(const KernelSpec& spec) {
  if (spec.weights.defined() && spec.main->Int("transA", 0) == 0)
    return std::make_unique<InnerProductKernel>(spec);
  return MakeProduct(spec);
}

}  // namespace roundel::engine
