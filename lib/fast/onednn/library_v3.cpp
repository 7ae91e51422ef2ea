// Descriptions of primitives for oneDNN 3.

#include "lib/fast/onednn/library.h"

#if DNNL_VERSION_MAJOR >= 3

#include <algorithm>

namespace roundel::engine::onednn {

using dnnl::prop_kind;

void AppendElementwise(dnnl::post_ops* ops, const PostOp& op) {
  // Version 3 needs the parameters of HardSwish, x * clip(alpha x + beta, 0, 1).
  const bool hard_swish = op.kind == PostOpKind::kHardSwish;
  ops->append_eltwise(AlgorithmOf(op.kind), hard_swish ? 1.0f / 6 : op.alpha,
                      hard_swish ? 0.5f : op.beta);
}

// Version 3 applies scales before the bias. A product as the first post-op is applied after it and
// is rounded once, as in version 2.
void MultiplyChannels(std::span<const float> multiplier, size_t rank, dnnl::post_ops* ops,
                      dnnl::primitive_attr* /*attributes*/, Primitive::State* state) {
  Dims dims(rank, 1), strides(rank, 1);
  dims[1] = static_cast<int64_t>(multiplier.size());
  strides[0] = dims[1];
  const dnnl::memory::desc desc(dims, dnnl::memory::data_type::f32, strides);
  ops->append_binary(dnnl::algorithm::binary_mul, desc);
  dnnl::memory values(desc, Engine());
  std::copy(multiplier.begin(), multiplier.end(), static_cast<float*>(values.get_data_handle()));
  state->arguments.Set(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, values);
}

void RequestDeterminism(dnnl::primitive_attr* attributes) {
#if DNNL_VERSION_MAJOR > 3 || DNNL_VERSION_MINOR >= 4
  attributes->set_deterministic(true);
#else
  (void)attributes;
#endif
}

dnnl::convolution_forward::primitive_desc Convolution(const Operands& o, const Window& w,
                                                      const dnnl::primitive_attr& attributes) {
  return {Engine(),
          prop_kind::forward_inference,
          dnnl::algorithm::convolution_direct,
          o.source,
          o.weights,
          o.bias,
          o.destination,
          w.strides,
          w.gaps,
          w.pads_begin,
          w.pads_end,
          attributes};
}

namespace {

// Gradients are chosen to suit a forward run.
dnnl::convolution_forward::primitive_desc Forward(const Operands& o, const Window& w) {
  return {Engine(),
          prop_kind::forward_training,
          dnnl::algorithm::convolution_direct,
          o.source,
          o.weights,
          o.destination,
          w.strides,
          w.gaps,
          w.pads_begin,
          w.pads_end,
          CommonAttributes()};
}

}  // namespace

dnnl::convolution_backward_data::primitive_desc ConvolutionToSource(const Operands& o,
                                                                    const Window& w) {
  return {Engine(),
          dnnl::algorithm::convolution_direct,
          o.source,
          o.weights,
          o.destination,
          w.strides,
          w.gaps,
          w.pads_begin,
          w.pads_end,
          Forward(o, w),
          CommonAttributes()};
}

dnnl::convolution_backward_weights::primitive_desc ConvolutionToWeights(const Operands& o,
                                                                        const Window& w) {
  return {Engine(),
          dnnl::algorithm::convolution_direct,
          o.source,
          o.weights,
          o.destination,
          w.strides,
          w.gaps,
          w.pads_begin,
          w.pads_end,
          Forward(o, w),
          CommonAttributes()};
}

dnnl::deconvolution_forward::primitive_desc Deconvolution(const Operands& o, const Window& w,
                                                          const dnnl::primitive_attr& attributes) {
  return {Engine(),
          prop_kind::forward_inference,
          dnnl::algorithm::deconvolution_direct,
          o.source,
          o.weights,
          o.bias,
          o.destination,
          w.strides,
          w.gaps,
          w.pads_begin,
          w.pads_end,
          attributes};
}

dnnl::inner_product_forward::primitive_desc InnerProduct(const Operands& o,
                                                         const dnnl::primitive_attr& attributes) {
  return {Engine(),  prop_kind::forward_inference, o.source, o.weights, o.bias, o.destination,
          attributes};
}

dnnl::matmul::primitive_desc MatrixProduct(const Operands& o,
                                           const dnnl::primitive_attr& attributes) {
  return {Engine(), o.source, o.weights, o.destination, attributes};
}

dnnl::eltwise_forward::primitive_desc Elementwise(const PostOp& op,
                                                  const dnnl::memory::desc& desc) {
  return {Engine(), prop_kind::forward_inference, AlgorithmOf(op.kind), desc, desc, op.alpha,
          op.beta};
}

bool Pooling(dnnl::algorithm algorithm, const Operands& o, const Window& w,
             const dnnl::primitive_attr& attributes, Primitive::State* state) {
  using Pool = dnnl::pooling_forward;
  return Take<Pool>(Pool::primitive_desc(Engine(), prop_kind::forward_inference, algorithm,
                                         o.source, o.destination, w.strides, w.kernel, w.gaps,
                                         w.pads_begin, w.pads_end, attributes),
                    state);
}

bool Softmax(dnnl::algorithm algorithm, const dnnl::memory::desc& desc, Primitive::State* state) {
  using Softmax = dnnl::softmax_forward;
  return Take<Softmax>(
      Softmax::primitive_desc(Engine(), prop_kind::forward_inference, algorithm, desc, desc, 1),
      state);
}

}  // namespace roundel::engine::onednn

#endif
