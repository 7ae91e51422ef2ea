#include "lib/fast/onednn/linear_kernel.h"

#include <algorithm>
#include <cstring>

#include "lib/base/limits.h"
#include "lib/base/parallel.h"
#include "lib/ops/kernels/broadcast.h"

namespace roundel::engine {

PackedWeights::~PackedWeights() { CountMemory(-bytes_); }

PackedTensor PackedWeights::Get(const TensorDesc& desc, const LinearWeights& weights,
                                const Primitive& primitive) {
  if (NeedsOrder(primitive, desc)) {
    if (!plain_.defined()) plain_ = weights.Values();
    return PackedTensor::Borrow(desc, plain_.raw());
  }
  for (const PackedTensor& known : packed_)
    if (NeedsOrder(primitive, known)) return known;
  const int64_t bytes = PackedBytes(primitive);
  if (!CheckMemory(bytes).ok()) return {};
  packed_.push_back(
      weights.Read([&](const void* values) { return PackWeights(desc, values, primitive); }));
  bytes_ += bytes;
  CountMemory(bytes);
  return packed_.back();
}

TensorDesc BiasDesc(const Tensor& bias) {
  return bias.defined() ? DescOf(bias.shape(), Layout::kPlain) : TensorDesc();
}

const void* BiasData(const Tensor& bias) { return bias.defined() ? bias.raw() : nullptr; }

LayerWeights::LayerWeights(const KernelSpec& spec)
    : weights_(spec.weights),
      bias_(spec.bias),
      has_bias_input_(!weights_.defined() && !spec.main->input(2).empty()) {}

const Shape* LayerWeights::ShapeIn(const FastContext& context) const {
  if (weights_.defined()) return &weights_.shape();
  const Value* weights = context.input(1);
  return weights && weights->dtype() == DType::kFloat ? &weights->shape : nullptr;
}

bool LayerWeights::BiasFits(const FastContext& context, int64_t channels) const {
  if (!has_bias_input_) return true;
  const Value* bias = context.input(2);
  return bias && bias->dtype() == DType::kFloat && bias->shape == Shape{channels};
}

TensorDesc LayerWeights::BiasFor(int64_t channels) const {
  return has_bias_input_ ? DescOf({channels}, Layout::kPlain) : BiasDesc(bias_);
}

bool LayerWeights::Fill(const TensorDesc& plain, PreparedLinear* out) {
  if (weights_.defined()) {
    out->weights = packed_.Get(plain, weights_, out->primitive);
    out->bias = BiasData(bias_);
    return out->weights.defined();
  }
  out->bias_input = has_bias_input_ ? 2 : -1;
  return PackEachRun(plain, out);
}

bool PackEachRun(const TensorDesc& plain, PreparedLinear* out) {
  if (NeedsOrder(out->primitive, plain)) return true;
  out->packing = MakePacking(plain, out->primitive);
  return static_cast<bool>(out->packing);
}

LinearPostOps::LinearPostOps(std::vector<PostOp> ops) : ops_(std::move(ops)) {
  for (const PostOp& op : ops_)
    if (op.kind == PostOpKind::kAdd) residual_ = op.input;
}

// oneDNN 2.6 applies the parameters of the first element-wise post-op to all of the same kind.
bool LinearPostOps::CanFuse() const {
  for (size_t i = 0; i < ops_.size(); ++i) {
    if (!CanAppend(ops_[i])) return false;
    for (size_t k = 0; k < i; ++k)
      if (ops_[i].kind == ops_[k].kind) return false;
  }
  return true;
}

PreparedLinear LinearPostOps::Prepare(const MakePrimitive& make) const {
  for (const bool fuse : {CanFuse(), false}) {
    PreparedLinear prepared;
    Epilogue epilogue;
    if (fuse) epilogue.post_ops = ops_;
    prepared.sums = fuse && residual_ >= 0;
    prepared.rest = std::make_shared<PostOpRunner>(fuse ? std::vector<PostOp>{} : ops_);
    if (make(epilogue, &prepared)) return prepared;
    if (ops_.empty()) break;
  }
  return {};
}

namespace {

// Whether `small` broadcasts to row-major values of `shape`, as the mask of attention scores does.
bool BroadcastsTo(const Shape& small, const Shape& shape) {
  const Result<Broadcast> plan = PlanBroadcast({small, shape});
  return plan.ok() && plan->shape == shape;
}

void Repeat(const Shape& small, const float* from, const Shape& shape, float* to) {
  const Result<Broadcast> plan = PlanBroadcast({small, shape});
  INVARIANT(plan.ok(), "shapes were checked");
  ForEachRun(*plan, [&](int64_t out, const int64_t* in, int64_t n) {
    if (plan->step(0) == 1)
      std::memcpy(to + out, from + in[0], static_cast<size_t>(n) * sizeof(float));
    else
      std::fill_n(to + out, n, from[in[0]]);
  });
}

// The buffer of the result; for a sum it already contains the residual.
float* Destination(FastContext& context, bool sums, int residual, const Shape& shape,
                   Layout layout) {
  if (!sums) return context.Output(shape, layout);
  const auto index = static_cast<size_t>(residual);
  const Shape residual_shape = context.input(index)->shape;
  const bool whole = residual_shape == shape;
  if (whole && context.input(index)->layout == layout && context.CanOverwrite(index))
    return context.OutputOver(index, shape, layout);
  const float* from = context.Data(index, layout);
  float* to = from ? context.Output(shape, layout) : nullptr;
  if (to && !whole) {
    Repeat(residual_shape, from, shape, to);
  } else if (to) {
    ParallelFor(NumElements(shape), 1 << 16, [&](int64_t begin, int64_t end) {
      std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin) * sizeof(float));
    });
  }
  return to;
}

// The weights of this run, in the order that the primitive needs.
bool TakeWeights(FastContext& context, const PreparedLinear& prepared, const void** weights) {
  *weights = context.Data(1, Layout::kPlain);
  return *weights && (!prepared.packing || Pack(context, prepared, weights));
}

bool TakeBias(FastContext& context, const PreparedLinear& prepared, const void** bias) {
  *bias = context.Data(static_cast<size_t>(prepared.bias_input), Layout::kPlain);
  return *bias != nullptr;
}

}  // namespace

bool Pack(FastContext& context, const PreparedLinear& prepared, const void** weights) {
  void* packed = context.Scratch(PackedBytes(prepared.primitive));
  void* scratch = nullptr;
  if (!packed || !TakeScratch(context, prepared.packing, &scratch) ||
      !prepared.packing.Run({.source = *weights, .destination = packed}, scratch))
    return false;
  *weights = packed;
  return true;
}

bool RunLinear(FastContext& context, PreparedLinear& prepared, int residual, const Shape& shape,
               Layout layout) {
  if (!prepared.primitive) return false;
  const float* addend = nullptr;
  if (residual >= 0) {
    const Value* other = context.input(static_cast<size_t>(residual));
    if (!other || other->dtype() != DType::kFloat) return false;
    const bool repeats = prepared.sums && layout == Layout::kPlain;
    if (other->shape != shape && !(repeats && BroadcastsTo(other->shape, shape))) return false;
    if (!prepared.sums) {
      addend = context.Data(static_cast<size_t>(residual), layout);
      if (!addend) return false;
    }
  }
  const float* source = context.Data(0, layout);
  const void* weights = nullptr;
  const void* bias = prepared.bias;
  void* scratch = nullptr;
  if (!source || (!prepared.weights.defined() && !TakeWeights(context, prepared, &weights)) ||
      (prepared.bias_input >= 0 && !TakeBias(context, prepared, &bias)) ||
      !TakeScratch(context, prepared.primitive, &scratch))
    return false;
  float* destination = Destination(context, prepared.sums, residual, shape, layout);
  if (!destination) return false;
  const Primitive::Operands operands = {source, weights, prepared.weights, bias, destination};
  if (!prepared.primitive.Run(operands, scratch)) {
    INVARIANT(!prepared.sums, "oneDNN failed after the residual was given up");
    return false;
  }
  prepared.rest->Run(destination, destination, NumElements(shape), addend);
  return true;
}

}  // namespace roundel::engine
