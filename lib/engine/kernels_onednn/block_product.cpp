// MatMulNBits with constant weights: unpacked and packed for the primitive once, as floats, where
// there is memory for that.

#include <algorithm>

#include "lib/base/limits.h"
#include "lib/engine/kernels/block_products.h"
#include "lib/engine/kernels_onednn/kernels.h"
#include "lib/engine/kernels_onednn/linear_kernel.h"

namespace roundel::engine {
namespace {

class BlockProduct : public FastKernel {
 public:
  BlockProduct(const KernelSpec& spec, int64_t rounded)
      : k_(spec.main->Int("K", 0)), n_(spec.main->Int("N", 0)), rounded_(rounded) {
    std::vector<Tensor> inputs;
    for (const Tensor* input : spec.constants) inputs.push_back(input ? *input : Tensor());
    if (inputs.size() > 5) bias_ = inputs[5];
    weights_ = LinearWeights(inputs[1], [node = *spec.main, inputs](const Tensor& codes) {
      std::vector<const Tensor*> given;
      for (const Tensor& input : inputs) given.push_back(input.defined() ? &input : nullptr);
      given[1] = &codes;
      auto weights = NBitsWeights(node, given);
      INVARIANT(weights.ok(), "the weights were checked");
      return std::move(*weights);
    });
  }

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || x->dtype() != DType::kFloat || x->shape.size() < 2 || x->shape.back() != k_)
      return false;
    const Shape flat = {NumElements(x->shape) / k_, k_};
    Shape shape = x->shape;
    shape.back() = n_;
    if (!DimsFit(flat) || !DimsFit({flat[0], n_})) return false;
    const PreparedLinear& prepared = cache_.Get(ShapeKey({&flat}), [&] {
      PreparedLinear made;
      try {
        made.usable = Make(flat, &made);
      } catch (const std::exception&) {
        made.usable = false;
      }
      return made;
    });
    return prepared.usable && Run(context, prepared, flat[0], shape);
  }

 private:
  bool Make(const Shape& x, PreparedLinear* out) {
    // Half of the memory is left to whatever comes after.
    const int64_t bytes = k_ * n_ * 4;
    if (!packed_once_ && MemoryInUse() + 2 * bytes > MemoryLimit() / 2) return false;
    const Shape dims = {n_, k_};
    const dnnl::memory::desc plain = StridedFloatDesc(dims, {1, n_});
    const dnnl::memory::desc bias_desc =
        bias_.defined() ? FloatDesc(bias_.shape(), Layout::kPlain) : dnnl::memory::desc();
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::inner_product_forward::primitive_desc descriptor(
        {dnnl::prop_kind::forward_inference, FloatDesc(x, Layout::kPlain), AnyFloatDesc(dims),
         bias_desc, FloatDesc({x[0], n_}, Layout::kPlain)},
        attributes, OneDnnEngine());
    if (!IsFastImplementation(descriptor.impl_info_str())) return false;
    out->primitive = dnnl::inner_product_forward(descriptor);
    out->source = descriptor.src_desc();
    out->destination = descriptor.dst_desc();
    out->scratchpad = descriptor.scratchpad_desc();
    out->weights = packed_.Get(plain, weights_, descriptor.weights_desc());
    if (bias_.defined()) out->bias = Wrap(bias_desc, bias_.data<float>());
    packed_once_ = true;
    return static_cast<bool>(out->weights);
  }

  bool Run(FastContext& context, const PreparedLinear& prepared, int64_t rows, const Shape& shape) {
    const float* source = context.Data(0, Layout::kPlain);
    if (source && rounded_ > 0) {
      auto* to = static_cast<float*>(context.Scratch(rows * k_ * 4));
      if (to) RoundBlocks(source, rows, k_, rounded_, to);
      source = to;
    }
    DnnlArguments arguments;
    if (!source || !AddScratchpad(context, prepared.scratchpad, &arguments)) return false;
    float* to = context.Output(shape, Layout::kPlain);
    if (!to) return false;
    arguments.insert({{DNNL_ARG_SRC, Wrap(prepared.source, source)},
                      {DNNL_ARG_WEIGHTS, prepared.weights},
                      {DNNL_ARG_DST, Wrap(prepared.destination, to)}});
    if (prepared.bias) arguments.insert({DNNL_ARG_BIAS, prepared.bias});
    return Execute(prepared.primitive, arguments);
  }

  const int64_t k_, n_, rounded_;
  Tensor bias_;
  LinearWeights weights_;
  bool packed_once_ = false;
  PackedWeights packed_;
  PreparedCache<PreparedLinear> cache_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeBlockProduct(const KernelSpec& spec) {
  const auto& inputs = spec.constants;
  const std::vector<std::string>& names = spec.main->inputs;
  if (inputs.size() < 3 || inputs[0]) return nullptr;
  for (size_t i = 1; i < names.size(); ++i)
    if (!names[i].empty() && !inputs[i]) return nullptr;
  const auto at = [&](size_t i) { return i < inputs.size() ? inputs[i] : nullptr; };
  if (inputs[2]->dtype() != DType::kFloat || (at(5) && at(5)->dtype() != DType::kFloat))
    return nullptr;
  // Checked with the smallest part of the work.
  if (!CheckNBits(*spec.main, {inputs.begin(), inputs.end()}).ok()) return nullptr;
  return std::make_unique<BlockProduct>(
      spec, RoundedBlock(*spec.main, at(3) && at(3)->dtype() != DType::kUint8, at(4) != nullptr));
}

}  // namespace roundel::engine
