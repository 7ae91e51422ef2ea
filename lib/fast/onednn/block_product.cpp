// MatMulNBits with constant weights: dequantized and packed for the primitive once, if there is
// enough memory.

#include <algorithm>

#include "lib/base/limits.h"
#include "lib/fast/onednn/kernels.h"
#include "lib/fast/onednn/linear_kernel.h"
#include "lib/ops/kernels/block_products.h"

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
      if (!Make(flat, &made)) made = {};
      return made;
    });
    return prepared.primitive && Run(context, prepared, flat[0], shape);
  }

 private:
  bool Make(const Shape& x, PreparedLinear* out) {
    // Half of the memory is left for later allocations.
    const int64_t bytes = k_ * n_ * 4;
    if (!packed_once_ && MemoryInUse() + 2 * bytes > MemoryLimit() / 2) return false;
    const Shape dims = {n_, k_};
    out->primitive = MakeInnerProduct({DescOf(x, Layout::kPlain), AnyDesc(dims), BiasDesc(bias_),
                                       DescOf({x[0], n_}, Layout::kPlain)});
    if (!out->primitive) return false;
    out->weights = packed_.Get(StridedDesc(dims, {1, n_}), weights_, out->primitive);
    out->bias = BiasData(bias_);
    packed_once_ = true;
    return out->weights.defined();
  }

  bool Run(FastContext& context, const PreparedLinear& prepared, int64_t rows, const Shape& shape) {
    const float* source = context.Data(0, Layout::kPlain);
    if (source && rounded_ > 0) {
      auto* to = static_cast<float*>(context.Scratch(rows * k_ * 4));
      if (to) RoundBlocks(source, rows, k_, rounded_, to);
      source = to;
    }
    void* scratch = nullptr;
    if (!source || !TakeScratch(context, prepared.primitive, &scratch)) return false;
    float* to = context.Output(shape, Layout::kPlain);
    return to &&
           prepared.primitive.Run({source, nullptr, prepared.weights, prepared.bias, to}, scratch);
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
  if (inputs.size() < 3 || inputs[0] || !inputs[1] || !inputs[2]) return nullptr;
  for (size_t i = 1; i < names.size(); ++i)
    if (!names[i].empty() && !inputs[i]) return nullptr;
  const auto at = [&](size_t i) { return i < inputs.size() ? inputs[i] : nullptr; };
  if (inputs[2]->dtype() != DType::kFloat || (at(5) && at(5)->dtype() != DType::kFloat))
    return nullptr;
  // Checked with the smallest possible product.
  if (!CheckNBits(*spec.main, {inputs.begin(), inputs.end()}).ok()) return nullptr;
  return std::make_unique<BlockProduct>(
      spec, RoundedBlock(*spec.main, at(3) && at(3)->dtype() != DType::kUint8, at(4) != nullptr));
}

}  // namespace roundel::engine
