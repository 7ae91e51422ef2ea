// Descriptions of primitives for oneDNN 2.

#include "lib/fast/onednn/library.h"

#if DNNL_VERSION_MAJOR == 2

namespace roundel::engine::onednn {

using dnnl::prop_kind;

void AppendElementwise(dnnl::post_ops* ops, const PostOp& op) {
  ops->append_eltwise(1.0f, AlgorithmOf(op.kind), op.alpha, op.beta);
}

void MultiplyChannels(std::span<const float> multiplier, size_t /*rank*/, dnnl::post_ops* /*ops*/,
                      dnnl::primitive_attr* attributes, Primitive::State* /*state*/) {
  attributes->set_output_scales(1 << 1, {multiplier.begin(), multiplier.end()});
}

void RequestDeterminism(dnnl::primitive_attr* /*attributes*/) {}

dnnl::convolution_forward::primitive_desc Convolution(const Operands& o, const Window& w,
                                                      const dnnl::primitive_attr& attributes) {
  return {{prop_kind::forward_inference, dnnl::algorithm::convolution_direct, o.source, o.weights,
           o.bias, o.destination, w.strides, w.gaps, w.pads_begin, w.pads_end},
          attributes,
          Engine()};
}

namespace {

// Gradients are chosen to suit a forward run.
dnnl::convolution_forward::primitive_desc Forward(const Operands& o, const Window& w) {
  return {{prop_kind::forward_training, dnnl::algorithm::convolution_direct, o.source, o.weights,
           o.destination, w.strides, w.gaps, w.pads_begin, w.pads_end},
          Engine()};
}

}  // namespace

dnnl::convolution_backward_data::primitive_desc ConvolutionToSource(const Operands& o,
                                                                    const Window& w) {
  return {{dnnl::algorithm::convolution_direct, o.source, o.weights, o.destination, w.strides,
           w.gaps, w.pads_begin, w.pads_end},
          CommonAttributes(),
          Engine(),
          Forward(o, w)};
}

dnnl::convolution_backward_weights::primitive_desc ConvolutionToWeights(const Operands& o,
                                                                        const Window& w) {
  return {{dnnl::algorithm::convolution_direct, o.source, o.weights, o.destination, w.strides,
           w.gaps, w.pads_begin, w.pads_end},
          CommonAttributes(),
          Engine(),
          Forward(o, w)};
}

dnnl::deconvolution_forward::primitive_desc Deconvolution(const Operands& o, const Window& w,
                                                          const dnnl::primitive_attr& attributes) {
  return {{prop_kind::forward_inference, dnnl::algorithm::deconvolution_direct, o.source, o.weights,
           o.bias, o.destination, w.strides, w.gaps, w.pads_begin, w.pads_end},
          attributes,
          Engine()};
}

dnnl::inner_product_forward::primitive_desc InnerProduct(const Operands& o,
                                                         const dnnl::primitive_attr& attributes) {
  return {{prop_kind::forward_inference, o.source, o.weights, o.bias, o.destination},
          attributes,
          Engine()};
}

dnnl::matmul::primitive_desc MatrixProduct(const Operands& o,
                                           const dnnl::primitive_attr& attributes) {
  return {{o.source, o.weights, o.destination}, attributes, Engine()};
}

dnnl::eltwise_forward::primitive_desc Elementwise(const PostOp& op,
                                                  const dnnl::memory::desc& desc) {
  return {{prop_kind::forward_inference, AlgorithmOf(op.kind), desc, op.alpha, op.beta}, Engine()};
}

bool Pooling(dnnl::algorithm algorithm, const Operands& o, const Window& w,
             const dnnl::primitive_attr& attributes, Primitive::State* state) {
  using Pool = dnnl::pooling_v2_forward;
  return Take<Pool>(
      Pool::primitive_desc({prop_kind::forward_inference, algorithm, o.source, o.destination,
                            w.strides, w.kernel, w.gaps, w.pads_begin, w.pads_end},
                           attributes, Engine()),
      state);
}

bool Softmax(dnnl::algorithm algorithm, const dnnl::memory::desc& desc, Primitive::State* state) {
  using Softmax = dnnl::softmax_v2_forward;
  return Take<Softmax>(
      Softmax::primitive_desc({prop_kind::forward_inference, algorithm, desc, desc, 1}, Engine()),
      state);
}

}  // namespace roundel::engine::onednn

#endif
