// Making the primitives of runs without gradients.

#include "lib/fast/onednn/library.h"

namespace roundel::engine {
namespace {

dnnl::primitive_attr Attributes(const Epilogue& epilogue, size_t rank, Primitive::State* state) {
  dnnl::primitive_attr attributes = onednn::CommonAttributes();
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

template <typename Made, typename Describe>
Primitive MakeLinear(const LinearDesc& desc, const Epilogue& epilogue, const Describe& describe) {
  return onednn::MakeState([&](Primitive::State* state) {
    state->bias = onednn::Translate(desc.bias);
    return onednn::Take<Made>(describe(onednn::Translate(desc),
                                       Attributes(epilogue, desc.destination.shape.size(), state)),
                              state);
  });
}

}  // namespace

bool CanAppend(const PostOp& op) {
  return op.kind == PostOpKind::kAdd || onednn::AlgorithmOf(op.kind) != dnnl::algorithm::undef;
}

Primitive MakeConvolution(const LinearDesc& desc, const ConvGeometry& geometry,
                          const Epilogue& epilogue) {
  return MakeLinear<dnnl::convolution_forward>(
      desc, epilogue,
      [&](const onednn::Operands& operands, const dnnl::primitive_attr& attributes) {
        return onednn::Convolution(operands, onednn::Translate(geometry), attributes);
      });
}

Primitive MakeDeconvolution(const LinearDesc& desc, const ConvGeometry& geometry,
                            const Epilogue& epilogue) {
  return MakeLinear<dnnl::deconvolution_forward>(
      desc, epilogue,
      [&](const onednn::Operands& operands, const dnnl::primitive_attr& attributes) {
        return onednn::Deconvolution(operands, onednn::Translate(geometry), attributes);
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
  onednn::Window translated = onednn::Translate(
      ConvGeometry{window.strides, window.dilations, window.pads_begin, window.pads_end});
  translated.kernel = window.kernel;
  return onednn::MakeState([&](Primitive::State* state) {
    return onednn::Pooling(
        algorithm,
        {.source = onednn::Translate(source), .destination = onednn::Translate(destination)},
        translated, Attributes({}, 0, state), state);
  });
}

Primitive MakeSoftmax(const Shape& shape, bool logarithm) {
  return onednn::MakeState([&](Primitive::State* state) {
    return onednn::Softmax(
        logarithm ? dnnl::algorithm::softmax_log : dnnl::algorithm::softmax_accurate,
        onednn::Translate(DescOf(shape, Layout::kPlain)), state);
  });
}

Primitive MakeElementwise(const PostOp& op, int64_t n) {
  return onednn::MakeState([&](Primitive::State* state) {
    onednn::Fill<dnnl::eltwise_forward>(
        onednn::Elementwise(op, onednn::Translate(DescOf({n}, Layout::kPlain))), state);
    return true;
  });
}

}  // namespace roundel::engine
