#pragma once
// oneDNN itself, for library*.cpp only: what its versions have in common, and the descriptions in
// which they differ. These functions throw the library's exceptions.

#include <dnnl.hpp>
#include <vector>

#include "lib/fast/onednn/primitive.h"

namespace roundel::engine {

struct PackedTensor::Contents {
  dnnl::memory memory;
};

// The arguments of a primitive that runs repeatedly. Memory objects are made once, because in later
// runs most addresses are the same.
class BoundArguments {
 public:
  void Set(int argument, const dnnl::memory::desc& desc, const void* data);
  void Set(int argument, const dnnl::memory& memory);  // the same in every run
  // Runs the primitive and waits for it; false if oneDNN failed.
  bool Execute(const dnnl::primitive& primitive) const;

 private:
  struct Bound {
    dnnl::memory memory;
    const void* data;  // null: that of the memory object
  };
  // The index of the argument; the number of arguments if it is new.
  size_t Find(int argument) const;

  std::vector<Bound> bound_;
  std::vector<dnnl_exec_arg_t> arguments_;  // of bound_, in its order
};

struct Primitive::State {
  dnnl::primitive primitive;
  dnnl::memory::desc source, weights, bias, destination, scratchpad;
  // What oneDNN calls these operands; a gradient has others.
  int source_argument = DNNL_ARG_SRC, weights_argument = DNNL_ARG_WEIGHTS,
      destination_argument = DNNL_ARG_DST;
  BoundArguments arguments;
};

namespace onednn {

using Dims = dnnl::memory::dims;

const dnnl::engine& Engine();
dnnl::stream& Stream();  // one per thread

struct Operands {
  dnnl::memory::desc source, weights, bias, destination;
};
struct Window {
  Dims strides, kernel, gaps, pads_begin, pads_end;  // gaps: dilations counted from 0
};

dnnl::memory::desc Translate(const TensorDesc& desc);
Operands Translate(const LinearDesc& desc);
Window Translate(const ConvGeometry& geometry);
// Of every primitive: the caller's scratch memory, determinism.
dnnl::primitive_attr CommonAttributes();

void AppendElementwise(dnnl::post_ops* ops, const PostOp& op);
// Makes the result (sum + bias) * multiplier[channel], before other post-ops; `rank`: of the
// result.
void MultiplyChannels(std::span<const float> multiplier, size_t rank, dnnl::post_ops* ops,
                      dnnl::primitive_attr* attributes, Primitive::State* state);
// Requests results that do not depend on the number of threads, as far as the version supports it.
void RequestDeterminism(dnnl::primitive_attr* attributes);

dnnl::convolution_forward::primitive_desc Convolution(const Operands& operands,
                                                      const Window& window,
                                                      const dnnl::primitive_attr& attributes);
// Of the source, and of the weights, of a convolution with these operands.
dnnl::convolution_backward_data::primitive_desc ConvolutionToSource(const Operands& operands,
                                                                    const Window& window);
dnnl::convolution_backward_weights::primitive_desc ConvolutionToWeights(const Operands& operands,
                                                                        const Window& window);
dnnl::deconvolution_forward::primitive_desc Deconvolution(const Operands& operands,
                                                          const Window& window,
                                                          const dnnl::primitive_attr& attributes);
dnnl::inner_product_forward::primitive_desc InnerProduct(const Operands& operands,
                                                         const dnnl::primitive_attr& attributes);
dnnl::matmul::primitive_desc MatrixProduct(const Operands& operands,
                                           const dnnl::primitive_attr& attributes);
dnnl::eltwise_forward::primitive_desc Elementwise(const PostOp& op, const dnnl::memory::desc& desc);

// Primitives whose classes have different names in the versions. Fills the state; false for a
// reference implementation.
bool Pooling(dnnl::algorithm algorithm, const Operands& operands, const Window& window,
             const dnnl::primitive_attr& attributes, Primitive::State* state);
bool Softmax(dnnl::algorithm algorithm, const dnnl::memory::desc& desc, Primitive::State* state);

// False for the reference implementations, which are slower than plain kernels.
bool IsFast(const char* implementation);

// make(state) returns true if it has filled the state. An empty primitive if the library throws.
template <typename Make>
Primitive MakeState(const Make& make) {
  try {
    const auto state = std::make_shared<Primitive::State>();
    if (make(state.get())) return Primitive(state);
  } catch (const std::exception&) {
  }
  return {};
}

template <typename Made, typename Description>
void Fill(const Description& description, Primitive::State* state) {
  state->primitive = Made(description);
  state->source = description.src_desc();
  state->weights = description.weights_desc();
  state->destination = description.dst_desc();
  state->scratchpad = description.scratchpad_desc();
}

template <typename Made, typename Description>
bool Take(const Description& description, Primitive::State* state) {
  if (!IsFast(description.impl_info_str())) return false;
  Fill<Made>(description, state);
  return true;
}

dnnl::algorithm AlgorithmOf(PostOpKind kind);  // undef: oneDNN has no such element-wise operation

}  // namespace onednn
}  // namespace roundel::engine
