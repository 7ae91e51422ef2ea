// Gradients of convolutions, and operands that change their order in each run.

#include "lib/fast/onednn/library.h"

namespace roundel::engine {
namespace {

Primitive MakeReorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  return onednn::MakeState([&](Primitive::State* state) {
    const dnnl::reorder::primitive_desc description(onednn::Engine(), from, onednn::Engine(), to,
                                                    onednn::CommonAttributes());
    state->primitive = dnnl::reorder(description);
    state->source = from;
    state->destination = to;
    state->scratchpad = description.scratchpad_desc();
    return true;
  });
}

}  // namespace

Primitive MakeConvolutionToSource(const LinearDesc& desc, const ConvGeometry& geometry) {
  return onednn::MakeState([&](Primitive::State* state) {
    const auto description =
        onednn::ConvolutionToSource(onednn::Translate(desc), onednn::Translate(geometry));
    if (!onednn::IsFast(description.impl_info_str())) return false;
    state->primitive = dnnl::convolution_backward_data(description);
    state->source = description.diff_dst_desc();
    state->weights = description.weights_desc();
    state->destination = description.diff_src_desc();
    state->scratchpad = description.scratchpad_desc();
    state->source_argument = DNNL_ARG_DIFF_DST;
    state->destination_argument = DNNL_ARG_DIFF_SRC;
    return true;
  });
}

Primitive MakeConvolutionToWeights(const LinearDesc& desc, const ConvGeometry& geometry) {
  return onednn::MakeState([&](Primitive::State* state) {
    const auto description =
        onednn::ConvolutionToWeights(onednn::Translate(desc), onednn::Translate(geometry));
    if (!onednn::IsFast(description.impl_info_str())) return false;
    state->primitive = dnnl::convolution_backward_weights(description);
    state->source = description.src_desc();
    state->weights = description.diff_dst_desc();
    state->destination = description.diff_weights_desc();
    state->scratchpad = description.scratchpad_desc();
    state->weights_argument = DNNL_ARG_DIFF_DST;
    state->destination_argument = DNNL_ARG_DIFF_WEIGHTS;
    return true;
  });
}

Primitive MakePacking(const TensorDesc& from, const Primitive& primitive) {
  return MakeReorder(onednn::Translate(from), primitive.state().weights);
}

Primitive MakeUnpacking(const Primitive& primitive, const TensorDesc& to) {
  return MakeReorder(primitive.state().destination, onednn::Translate(to));
}

bool HasOrder(const Primitive& primitive, const TensorDesc& desc) {
  return primitive.state().destination == onednn::Translate(desc);
}

int64_t ResultBytes(const Primitive& primitive) {
  return static_cast<int64_t>(primitive.state().destination.get_size());
}

}  // namespace roundel::engine
