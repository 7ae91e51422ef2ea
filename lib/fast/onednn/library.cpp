#include "lib/fast/onednn/library.h"

#include <cstring>
#include <limits>

namespace roundel::engine {

static_assert(kMaxPrimitiveRank == DNNL_MAX_NDIMS);

namespace onednn {
namespace {

dnnl::memory::data_type TypeOf(DType type) {
  switch (type) {
    case DType::kInt32: return dnnl::memory::data_type::s32;
    case DType::kInt8: return dnnl::memory::data_type::s8;
    case DType::kUint8: return dnnl::memory::data_type::u8;
    default: return dnnl::memory::data_type::f32;
  }
}

}  // namespace

const dnnl::engine& Engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& Stream() {
  thread_local dnnl::stream stream(Engine());
  return stream;
}

bool IsFast(const char* implementation) { return std::strstr(implementation, "ref") == nullptr; }

dnnl::algorithm AlgorithmOf(PostOpKind kind) {
  using dnnl::algorithm;
  switch (kind) {
    case PostOpKind::kRelu: return algorithm::eltwise_relu;
    case PostOpKind::kClip: return algorithm::eltwise_clip;
    case PostOpKind::kLinear: return algorithm::eltwise_linear;
    case PostOpKind::kSigmoid: return algorithm::eltwise_logistic;
    case PostOpKind::kTanh: return algorithm::eltwise_tanh;
    case PostOpKind::kElu: return algorithm::eltwise_elu;
    case PostOpKind::kHardSwish: return algorithm::eltwise_hardswish;
    case PostOpKind::kSwish: return algorithm::eltwise_swish;
    case PostOpKind::kGelu: return algorithm::eltwise_gelu_erf;
    case PostOpKind::kExp: return algorithm::eltwise_exp;
    case PostOpKind::kAbs: return algorithm::eltwise_abs;
    case PostOpKind::kSqrt: return algorithm::eltwise_sqrt;
    case PostOpKind::kErf:
    case PostOpKind::kAdd: return algorithm::undef;
  }
  return algorithm::undef;
}

dnnl::memory::desc Translate(const TensorDesc& desc) {
  if (!desc.defined()) return {};
  if (desc.strides.empty()) return {desc.shape, TypeOf(desc.type), dnnl::memory::format_tag::any};
  return {desc.shape, TypeOf(desc.type), desc.strides};
}

Operands Translate(const LinearDesc& desc) {
  return {Translate(desc.source), Translate(desc.weights), Translate(desc.bias),
          Translate(desc.destination)};
}

Window Translate(const ConvGeometry& geometry) {
  Window window{.strides = geometry.strides,
                .gaps = geometry.dilations,
                .pads_begin = geometry.pads_begin,
                .pads_end = geometry.pads_end};
  for (int64_t& gap : window.gaps) --gap;
  return window;
}

dnnl::primitive_attr CommonAttributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  RequestDeterminism(&attributes);
  return attributes;
}

}  // namespace onednn

namespace {

dnnl::memory Wrap(const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, onednn::Engine(), const_cast<void*>(data));
}

}  // namespace

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

bool BoundArguments::Execute(const dnnl::primitive& primitive) const {
  dnnl::stream& stream = onednn::Stream();
  const auto count = static_cast<int>(arguments_.size());
  return dnnl_primitive_execute(primitive.get(), stream.get(), count, arguments_.data()) ==
             dnnl_success &&
         dnnl_stream_wait(stream.get()) == dnnl_success;
}

TensorDesc DescOf(const Shape& shape, Layout layout, DType type) {
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
  return {shape, type, std::move(strides)};
}

TensorDesc AnyDesc(const Shape& shape, DType type) { return {shape, type, {}}; }

TensorDesc StridedDesc(const Shape& shape, std::vector<int64_t> strides, DType type) {
  return {shape, type, std::move(strides)};
}

bool DimsFit(const Shape& shape) {
  int64_t count = 1;
  for (int64_t dim : shape) {
    if (dim < 1 || dim > std::numeric_limits<int32_t>::max() / 4) return false;
    if (__builtin_mul_overflow(count, dim, &count) || count > int64_t{1} << 40) return false;
  }
  return true;
}

bool HasByteDotProducts() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512vnni") &&
                          dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core_vnni;
  return has;
#else
  return false;
#endif
}

PackedTensor PackedTensor::Borrow(const TensorDesc& desc, const void* values) {
  return PackedTensor(std::make_shared<Contents>(Contents{Wrap(onednn::Translate(desc), values)}));
}

int64_t Primitive::scratch_bytes() const {
  return static_cast<int64_t>(state_->scratchpad.get_size());
}

bool Primitive::Run(const Operands& operands, void* scratch) const {
  BoundArguments& arguments = state_->arguments;
  try {
    arguments.Set(state_->source_argument, state_->source, operands.source);
    arguments.Set(state_->destination_argument, state_->destination, operands.destination);
    if (operands.packed.defined())
      arguments.Set(state_->weights_argument, operands.packed.contents().memory);
    else if (operands.weights)
      arguments.Set(state_->weights_argument, state_->weights, operands.weights);
    if (operands.bias) arguments.Set(DNNL_ARG_BIAS, state_->bias, operands.bias);
    if (scratch) arguments.Set(DNNL_ARG_SCRATCHPAD, state_->scratchpad, scratch);
    return arguments.Execute(state_->primitive);
  } catch (const std::exception&) {
    return false;
  }
}

bool TakeScratch(FastContext& context, const Primitive& primitive, void** scratch) {
  const int64_t bytes = primitive.scratch_bytes();
  *scratch = bytes > 0 ? context.Scratch(bytes) : nullptr;
  return bytes == 0 || *scratch;
}

PackedTensor PackWeights(const TensorDesc& from, const void* values, const Primitive& primitive) {
  dnnl::memory source = Wrap(onednn::Translate(from), values);
  dnnl::memory target(primitive.state().weights, onednn::Engine());
  dnnl::reorder(source, target).execute(onednn::Stream(), source, target);
  onednn::Stream().wait();
  return PackedTensor(
      std::make_shared<PackedTensor::Contents>(PackedTensor::Contents{std::move(target)}));
}

bool NeedsOrder(const Primitive& primitive, const TensorDesc& desc) {
  return primitive.state().weights == onednn::Translate(desc);
}

bool NeedsOrder(const Primitive& primitive, const PackedTensor& packed) {
  return primitive.state().weights == packed.contents().memory.get_desc();
}

int64_t PackedBytes(const Primitive& primitive) {
  return static_cast<int64_t>(primitive.state().weights.get_size());
}

}  // namespace roundel::engine
