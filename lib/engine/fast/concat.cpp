// Concat of float values without leaving channels-last.

#include <cstring>

#include "lib/base/parallel.h"
#include "lib/engine/fast/kernels.h"

namespace roundel::engine {
namespace {

class ConcatKernel : public FastKernel {
 public:
  explicit ConcatKernel(int64_t axis) : axis_(axis) {}

  bool Run(FastContext& context) override {
    const size_t count = context.input_count();
    Layout layout = Layout::kPlain;
    Shape shape;
    const int64_t axis = ResultShape(context, &shape, &layout);
    if (axis < 0 || layout == Layout::kPlain) return false;  // the plain kernel is as fast
    const int64_t physical_axis = PhysicalAxis(axis, static_cast<int64_t>(shape.size()), layout);
    std::vector<const float*> from(count);
    std::vector<int64_t> run(count);  // elements of one input per outer index
    int64_t outer = 1, total = 0;
    for (size_t i = 0; i < count; ++i) {
      from[i] = context.Data(i, layout);
      if (!from[i]) return false;
      const Shape physical = PhysicalShape(context.input(i)->shape, layout);
      run[i] = 1;
      outer = 1;
      for (size_t k = 0; k < physical.size(); ++k)
        (static_cast<int64_t>(k) < physical_axis ? outer : run[i]) *= physical[k];
      total += run[i];
    }
    float* to = context.Output(shape, layout);
    if (!to) return false;
    if (total == 0) return true;
    ParallelFor(outer, 1 + (1 << 14) / total, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        float* target = to + row * total;
        for (size_t i = 0; i < count; ++i) {
          std::memcpy(target, from[i] + row * run[i], static_cast<size_t>(run[i]) * sizeof(float));
          target += run[i];
        }
      }
    });
    return true;
  }

 private:
  // The axis, normalised; -1 if the inputs do not fit together.
  int64_t ResultShape(FastContext& context, Shape* shape, Layout* layout) const {
    int64_t axis = -1;
    for (size_t i = 0; i < context.input_count(); ++i) {
      const Value* x = context.input(i);
      if (!x || x->data.dtype() != DType::kFloat) return -1;
      if (x->layout == Layout::kChannelsLast) *layout = x->layout;
      if (i == 0) {
        *shape = x->shape;
        const auto rank = static_cast<int64_t>(shape->size());
        axis = axis_ < 0 ? axis_ + rank : axis_;
        if (axis < 0 || axis >= rank) return -1;
        continue;
      }
      if (x->shape.size() != shape->size()) return -1;
      for (size_t k = 0; k < shape->size(); ++k)
        if (static_cast<int64_t>(k) != axis && x->shape[k] != (*shape)[k]) return -1;
      if (__builtin_add_overflow((*shape)[axis], x->shape[axis], &(*shape)[axis])) return -1;
    }
    return axis;
  }

  const int64_t axis_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeConcatKernel(const KernelSpec& spec) {
  return std::make_unique<ConcatKernel>(spec.main->Int("axis", 1));
}

}  // namespace roundel::engine
