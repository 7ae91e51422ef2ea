#include "lib/engine/kernels_onednn/common.h"

#include <cstring>
#include <limits>

#include "lib/base/parallel.h"

namespace roundel::engine {

const dnnl::engine& OneDnnEngine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& OneDnnStream() {
  thread_local dnnl::stream stream(OneDnnEngine());
  return stream;
}

dnnl::memory::desc StridedFloatDesc(const Shape& shape, const std::vector<int64_t>& strides) {
  return {shape, dnnl::memory::data_type::f32, strides};
}

dnnl::memory::desc AnyFloatDesc(const Shape& shape) {
  return {shape, dnnl::memory::data_type::f32, dnnl::memory::format_tag::any};
}

dnnl::memory::desc FloatDesc(const Shape& shape, Layout layout) {
  return LayoutDesc(shape, layout, dnnl::memory::data_type::f32);
}

dnnl::memory::desc LayoutDesc(const Shape& shape, Layout layout, dnnl::memory::data_type type) {
  std::vector<int64_t> strides(shape.size(), 1);
  int64_t step = 1;
  if (layout == Layout::kChannelsLast) {
    strides[1] = 1;
    step = shape[1];
  }
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (layout == Layout::kChannelsLast && axis == 1) continue;
    strides[axis] = step;
    step *= shape[axis];
  }
  return {shape, type, strides};
}

bool DimsFit(const Shape& shape) {
  int64_t count = 1;
  for (int64_t dim : shape) {
    if (dim < 1 || dim > std::numeric_limits<int32_t>::max() / 4) return false;
    if (__builtin_mul_overflow(count, dim, &count) || count > int64_t{1} << 40) return false;
  }
  return true;
}

dnnl::memory Wrap(const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, OneDnnEngine(), const_cast<void*>(data));
}

dnnl::memory::data_type ByteType(const quant::Encoding& encoding) {
  return encoding.grid.is_signed ? dnnl::memory::data_type::s8 : dnnl::memory::data_type::u8;
}

dnnl::memory Packed(const dnnl::memory::desc& from_desc, const void* from,
                    const dnnl::memory::desc& to_desc) {
  dnnl::memory source = Wrap(from_desc, from);
  dnnl::memory target(to_desc, OneDnnEngine());
  dnnl::reorder(source, target).execute(OneDnnStream(), source, target);
  OneDnnStream().wait();
  return target;
}

bool AppendPostOp(dnnl::post_ops* ops, const PostOp& op) {
  using dnnl::algorithm;
  const auto append = [&](algorithm which, float alpha, float beta) {
    ops->append_eltwise(1.0f, which, alpha, beta);
    return true;
  };
  switch (op.kind) {
    case PostOpKind::kRelu:
      return append(algorithm::eltwise_relu, op.alpha, 0);
    case PostOpKind::kClip:
      return append(algorithm::eltwise_clip, op.alpha, op.beta);
    case PostOpKind::kLinear:
      return append(algorithm::eltwise_linear, op.alpha, op.beta);
    case PostOpKind::kSigmoid:
      return append(algorithm::eltwise_logistic, 0, 0);
    case PostOpKind::kTanh:
      return append(algorithm::eltwise_tanh, 0, 0);
    case PostOpKind::kElu:
      return append(algorithm::eltwise_elu, op.alpha, 0);
    case PostOpKind::kHardSwish:
      return append(algorithm::eltwise_hardswish, 0, 0);
    case PostOpKind::kSwish:
      return append(algorithm::eltwise_swish, op.alpha, 0);
    case PostOpKind::kGelu:
      return append(algorithm::eltwise_gelu_erf, 0, 0);
    case PostOpKind::kExp:
      return append(algorithm::eltwise_exp, 0, 0);
    case PostOpKind::kAbs:
      return append(algorithm::eltwise_abs, 0, 0);
    case PostOpKind::kSqrt:
      return append(algorithm::eltwise_sqrt, 0, 0);
    case PostOpKind::kErf:
    case PostOpKind::kAdd:
      return false;
  }
  return false;
}

bool AddScratchpad(FastContext& context, const dnnl::memory::desc& scratchpad,
                   DnnlArguments* arguments) {
  const auto bytes = static_cast<int64_t>(scratchpad.get_size());
  if (bytes == 0) return true;
  void* scratch = context.Scratch(bytes);
  if (scratch) arguments->insert({DNNL_ARG_SCRATCHPAD, Wrap(scratchpad, scratch)});
  return scratch != nullptr;
}

bool Execute(const dnnl::primitive& primitive, const DnnlArguments& arguments) {
  try {
    primitive.execute(OneDnnStream(), arguments);
    OneDnnStream().wait();
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

size_t BoundArguments::Find(int argument) const {
  size_t i = 0;
  while (i < arguments_.size() && arguments_[i].arg != argument) ++i;
  return i;
}

void BoundArguments::Set(int argument, const dnnl::memory::desc& desc, const void* data) {
  const size_t i = Find(argument);
  if (i == bound_.size()) {
    bound_.push_back({Wrap(desc, data), data});
    arguments_.push_back({argument, bound_.back().memory.get()});
  } else if (bound_[i].data != data) {
    bound_[i].memory.set_data_handle(const_cast<void*>(data));
    bound_[i].data = data;
  }
}

void BoundArguments::Set(int argument, const dnnl::memory& memory) {
  if (Find(argument) < bound_.size()) return;
  bound_.push_back({memory, nullptr});
  arguments_.push_back({argument, memory.get()});
}

bool BoundArguments::SetScratchpad(FastContext& context, const dnnl::memory::desc& scratchpad) {
  const auto bytes = static_cast<int64_t>(scratchpad.get_size());
  if (bytes == 0) return true;
  void* scratch = context.Scratch(bytes);
  if (scratch) Set(DNNL_ARG_SCRATCHPAD, scratchpad, scratch);
  return scratch != nullptr;
}

bool BoundArguments::Execute(const dnnl::primitive& primitive) const {
  dnnl::stream& stream = OneDnnStream();
  const auto count = static_cast<int>(arguments_.size());
  return dnnl_primitive_execute(primitive.get(), stream.get(), count, arguments_.data()) ==
             dnnl_success &&
         dnnl_stream_wait(stream.get()) == dnnl_success;
}

bool IsFastImplementation(const char* name) { return std::strstr(name, "ref") == nullptr; }

PreparedCache<int>::Key ShapeKey(std::initializer_list<const Shape*> shapes) {
  PreparedCache<int>::Key key = {Threads()};
  for (const Shape* shape : shapes) {
    key.push_back(static_cast<int64_t>(shape->size()));
    key.insert(key.end(), shape->begin(), shape->end());
  }
  return key;
}

}  // namespace roundel::engine
