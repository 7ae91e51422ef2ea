// Element-wise nodes of one input: chains of post-ops over the elements in memory order.

#include "lib/fast/loops/kernels.h"
#include "lib/fast/loops/post_ops.h"

namespace roundel::engine {
namespace {

class ElementKernel : public FastKernel {
 public:
  explicit ElementKernel(const KernelSpec& spec)
      : input_(static_cast<size_t>(spec.element_input)),
        min_rank_(spec.min_rank),
        runner_(spec.post_ops) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(input_);
    if (!x || x->dtype() != DType::kFloat) return false;
    if (static_cast<int64_t>(x->shape.size()) < min_rank_) return false;
    const float* from = context.Data(input_, x->layout);
    // A copy of the shape, because the result may replace its input.
    const Shape shape = x->shape;
    const Layout layout = x->layout;
    float* to = context.CanOverwrite(input_) ? context.OutputOver(input_, shape, layout)
                                             : context.Output(shape, layout);
    if (!from || !to) return false;
    runner_.Run(from, to, NumElements(shape));
    return true;
  }

 private:
  const size_t input_;
  const int64_t min_rank_;
  PostOpRunner runner_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeElementKernel(const KernelSpec& spec) {
  return std::make_unique<ElementKernel>(spec);
}

}  // namespace roundel::engine
