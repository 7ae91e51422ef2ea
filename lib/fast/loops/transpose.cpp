// Transpose between [N, C, spatial...] and [N, spatial..., C] moves no elements: the bytes of a
// channels-last value are those of its transpose.

#include <numeric>

#include "lib/fast/loops/kernels.h"

namespace roundel::engine {
namespace {

class TransposeKernel : public FastKernel {
 public:
  explicit TransposeKernel(std::vector<int64_t> permutation)
      : permutation_(std::move(permutation)) {}

  bool Run(FastContext& context) override {
    const Value* x = context.input(0);
    if (!x || x->dtype() != DType::kFloat || x->shape.size() != permutation_.size()) return false;
    Shape shape;
    for (int64_t axis : permutation_) shape.push_back(x->shape[axis]);
    if (x->layout == Layout::kChannelsLast && permutation_ == ToLast())
      context.OutputView(0, shape, Layout::kPlain);
    else if (x->layout == Layout::kPlain && permutation_ == ToFirst())
      context.OutputView(0, shape, Layout::kChannelsLast);
    else
      return false;
    return true;
  }

 private:
  // {0, 2, ..., 1}
  std::vector<int64_t> ToLast() const {
    std::vector<int64_t> axes(permutation_.size());
    std::iota(axes.begin(), axes.end(), 1);
    axes.front() = 0;
    axes.back() = 1;
    for (size_t i = 1; i + 1 < axes.size(); ++i) axes[i] = static_cast<int64_t>(i) + 1;
    return axes;
  }
  // {0, last, 1, ...}
  std::vector<int64_t> ToFirst() const {
    std::vector<int64_t> axes = {0, static_cast<int64_t>(permutation_.size()) - 1};
    for (size_t i = 2; i < permutation_.size(); ++i) axes.push_back(static_cast<int64_t>(i) - 1);
    return axes;
  }

  const std::vector<int64_t> permutation_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeTransposeKernel(const KernelSpec& spec) {
  std::vector<int64_t> permutation = spec.main->Ints("perm");
  const auto rank = static_cast<int64_t>(permutation.size());
  if (rank < kMinChannelsLastRank || rank > kMaxChannelsLastRank) return nullptr;
  for (int64_t axis : permutation)
    if (axis < 0 || axis >= rank) return nullptr;
  return std::make_unique<TransposeKernel>(std::move(permutation));
}

}  // namespace roundel::engine
