#include "lib/engine/kernels_onednn/linear_kernel.h"

#include <algorithm>
#include <cstring>

#include "lib/base/limits.h"
#include "lib/base/parallel.h"
#include "lib/engine/kernels/broadcast.h"

namespace roundel::engine {

PackedWeights::~PackedWeights() { CountMemory(-bytes_); }

dnnl::memory PackedWeights::Get(const dnnl::memory::desc& from_desc, const LinearWeights& from,
                                const dnnl::memory::desc& to_desc) {
  if (to_desc == from_desc) return Wrap(from_desc, from.Keep());
  for (const dnnl::memory& known : packed_)
    if (known.get_desc() == to_desc) return known;
  const auto bytes = static_cast<int64_t>(to_desc.get_size());
  if (!CheckMemory(bytes).ok()) return {};
  packed_.push_back(
      from.Read([&](const void* values) { return Packed(from_desc, values, to_desc); }));
  bytes_ += bytes;
  CountMemory(bytes);
  return packed_.back();
}

LinearPostOps::LinearPostOps(const KernelSpec& spec) : ops_(spec.post_ops) {
  for (const PostOp& op : ops_)
    if (op.kind == PostOpKind::kAdd) residual_ = op.input;
}

// oneDNN 2.6 applies the parameters of the first to all element-wise post-ops of one kind.
bool LinearPostOps::CanFuse() const {
  for (size_t i = 0; i < ops_.size(); ++i) {
    if (ops_[i].kind == PostOpKind::kErf) return false;
    for (size_t k = 0; k < i; ++k)
      if (ops_[i].kind == ops_[k].kind) return false;
  }
  return true;
}

PreparedLinear LinearPostOps::Prepare(const MakePrimitive& make) const {
  for (const bool fuse : {CanFuse(), false}) {
    PreparedLinear prepared;
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (fuse) {
      dnnl::post_ops post_ops;
      for (const PostOp& op : ops_)
        if (!AppendPostOp(&post_ops, op)) post_ops.append_sum(1.0f);
      attributes.set_post_ops(post_ops);
      prepared.sums = residual_ >= 0;
    }
    prepared.rest = std::make_shared<PostOpRunner>(fuse ? std::vector<PostOp>{} : ops_);
    try {
      prepared.usable = make(attributes, &prepared);
    } catch (const std::exception&) {
      prepared.usable = false;
    }
    if (prepared.usable || ops_.empty()) return prepared;
  }
  return {};
}

namespace {

// Whether `small` broadcasts to row-major values of `shape` (the mask of attention scores does).
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

// The buffer of the result; of a sum it holds the residual already.
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

}  // namespace

bool RunLinear(FastContext& context, PreparedLinear& prepared, int residual, const Shape& shape,
               Layout layout) {
  if (!prepared.usable) return false;
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
  const float* weights = prepared.weights ? nullptr : context.Data(1, Layout::kPlain);
  if (!prepared.weights && !weights) return false;
  BoundArguments& arguments = prepared.arguments;
  if (!source || !arguments.SetScratchpad(context, prepared.scratchpad)) return false;
  float* destination = Destination(context, prepared.sums, residual, shape, layout);
  if (!destination) return false;
  arguments.Set(DNNL_ARG_SRC, prepared.source, source);
  arguments.Set(DNNL_ARG_DST, prepared.destination, destination);
  if (weights)
    arguments.Set(DNNL_ARG_WEIGHTS, prepared.weights_desc, weights);
  else
    arguments.Set(DNNL_ARG_WEIGHTS, prepared.weights);
  if (prepared.bias) arguments.Set(DNNL_ARG_BIAS, prepared.bias);
  if (!arguments.Execute(prepared.primitive)) {
    INVARIANT(!prepared.sums, "oneDNN failed after the residual was given up");
    return false;
  }
  prepared.rest->Run(destination, destination, NumElements(shape), addend);
  return true;
}

}  // namespace roundel::engine
