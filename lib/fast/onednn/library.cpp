#include "lib/fast/onednn/library.h"

#include <cstring>
#include <limits>

namespace roundel::engine {
namespace onednn {

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

}  // namespace onednn

namespace {

static_assert(kMaxPrimitiveRank == DNNL_MAX_NDIMS);

dnnl::memory::data_type TypeOf(DType type) {
  switch (type) {
    case DType::kInt32: return dnnl::memory::data_type::s32;
    case DType::kInt8: return dnnl::memory::data_type::s8;
    case DType::kUint8: return dnnl::memory::data_type::u8;
    default: return dnnl::memory::data_type::f32;
  }
}

dnnl::memory::desc Translate(const TensorDesc& desc) {
  if (!desc.defined()) return {};
  if (desc.strides.empty()) return {desc.shape, TypeOf(desc.type), dnnl::memory::format_tag::any};
  return {desc.shape, TypeOf(desc.type), desc.strides};
}

onednn::Operands Translate(const LinearDesc& desc) {
  return {Translate(desc.source), Translate(desc.weights), Translate(desc.bias),
          Translate(desc.destination)};
}

onednn::Window Translate(const ConvGeometry& geometry) {
  onednn::Window window{.strides = geometry.strides,
                        .gaps = geometry.dilations,
                        .pads_begin = geometry.pads_begin,
                        .pads_end = geometry.pads_end};
  for (int64_t& gap : window.gaps) --gap;
  return window;
}

dnnl::memory Wrap(const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, onednn::Engine(), const_cast<void*>(data));
}

dnnl::primitive_attr Attributes(const Epilogue& epilogue, size_t rank, Primitive::State* state) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  onednn::RequestDeterminism(&attributes);
  dnnl::post_ops ops;
  if (!epilogue.multiplier.empty())
    onednn::MultiplyChannels(epilogue.multiplier, rank, &ops, &attributes, state);
  for (const PostOp& op : epilogue.post_ops) {
    if (op.kind == PostOpKind::kAdd)
      ops.append_sum(1.0f);
    else
      onednn::AppendElementwise(&ops, op);
  }
  attributes.set_post_ops(ops);
  return attributes;
}

// make(state) returns true if it has filled the state. An empty primitive if the library throws.
template <typename Make>
Primitive Made(const Make& make) {
  try {
    const auto state = std::make_shared<Primitive::State>();
    if (make(state.get())) return Primitive(state);
  } catch (const std::exception&) {
  }
  return {};
}

template <typename Made, typename Describe>
Primitive MakeLinear(const LinearDesc& desc, const Epilogue& epilogue, const Describe& describe) {
  return roundel::engine::Made([&](Primitive::State* state) {
    state->bias = Translate(desc.bias);
    return onednn::Take<Made>(
        describe(Translate(desc), Attributes(epilogue, desc.destination.shape.size(), state)),
        state);
  });
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
  return PackedTensor(std::make_shared<Contents>(Contents{Wrap(Translate(desc), values)}));
}

int64_t Primitive::scratch_bytes() const {
  return static_cast<int64_t>(state_->scratchpad.get_size());
}

bool Primitive::Run(const Operands& operands, void* scratch) const {
  BoundArguments& arguments = state_->arguments;
  try {
    arguments.Set(DNNL_ARG_SRC, state_->source, operands.source);
    arguments.Set(DNNL_ARG_DST, state_->destination, operands.destination);
    if (operands.packed.defined())
      arguments.Set(DNNL_ARG_WEIGHTS, operands.packed.contents().memory);
    else if (operands.weights)
      arguments.Set(DNNL_ARG_WEIGHTS, state_->weights, operands.weights);
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

bool CanAppend(const PostOp& op) {
  return op.kind == PostOpKind::kAdd || onednn::AlgorithmOf(op.kind) != dnnl::algorithm::undef;
}

Primitive MakeConvolution(const LinearDesc& desc, const ConvGeometry& geometry,
                          const Epilogue& epilogue) {
  return MakeLinear<dnnl::convolution_forward>(
      desc, epilogue,
      [&](const onednn::Operands& operands, const dnnl::primitive_attr& attributes) {
        return onednn::Convolution(operands, Translate(geometry), attributes);
      });
}

Primitive MakeDeconvolution(const LinearDesc& desc, const ConvGeometry& geometry,
                            const Epilogue& epilogue) {
  return MakeLinear<dnnl::deconvolution_forward>(
      desc, epilogue,
      [&](const onednn::Operands& operands, const dnnl::primitive_attr& attributes) {
        return onednn::Deconvolution(operands, Translate(geometry), attributes);
      });
}

Primitive MakeInnerProduct(const LinearDesc& desc, const Epilogue& epilogue) {
  return MakeLinear<dnnl::inner_product_forward>(desc, epilogue, onednn::InnerProduct);
}

Primitive MakeMatrixProduct(const LinearDesc& desc, const Epilogue& epilogue) {
  return MakeLinear<dnnl::matmul>(desc, epilogue, onednn::MatrixProduct);
}

Primitive MakePooling(PoolKind kind, const TensorDesc& source, const TensorDesc& destination,
                      const Window& window) {
  const auto algorithm = kind == PoolKind::kMax ? dnnl::algorithm::pooling_max
                         : kind == PoolKind::kAverage
                             ? dnnl::algorithm::pooling_avg_exclude_padding
                             : dnnl::algorithm::pooling_avg_include_padding;
  onednn::Window translated =
      Translate(ConvGeometry{window.strides, window.dilations, window.pads_begin, window.pads_end});
  translated.kernel = window.kernel;
  return Made([&](Primitive::State* state) {
    return onednn::Pooling(algorithm,
                           {.source = Translate(source), .destination = Translate(destination)},
                           translated, Attributes({}, 0, state), state);
  });
}

Primitive MakeSoftmax(const Shape& shape, bool logarithm) {
  return Made([&](Primitive::State* state) {
    return onednn::Softmax(
        logarithm ? dnnl::algorithm::softmax_log : dnnl::algorithm::softmax_accurate,
        Translate(DescOf(shape, Layout::kPlain)), state);
  });
}

Primitive MakeElementwise(const PostOp& op, int64_t n) {
  return Made([&](Primitive::State* state) {
    onednn::Fill<dnnl::eltwise_forward>(
        onednn::Elementwise(op, Translate(DescOf({n}, Layout::kPlain))), state);
    return true;
  });
}

PackedTensor PackWeights(const TensorDesc& from, const void* values, const Primitive& primitive) {
  dnnl::memory source = Wrap(Translate(from), values);
  dnnl::memory target(primitive.state().weights, onednn::Engine());
  dnnl::reorder(source, target).execute(onednn::Stream(), source, target);
  onednn::Stream().wait();
  return PackedTensor(
      std::make_shared<PackedTensor::Contents>(PackedTensor::Contents{std::move(target)}));
}

bool NeedsOrder(const Primitive& primitive, const TensorDesc& desc) {
  return primitive.state().weights == Translate(desc);
}

bool NeedsOrder(const Primitive& primitive, const PackedTensor& packed) {
  return primitive.state().weights == packed.contents().memory.get_desc();
}

int64_t PackedBytes(const Primitive& primitive) {
  return static_cast<int64_t>(primitive.state().weights.get_size());
}

}  // namespace roundel::engine
