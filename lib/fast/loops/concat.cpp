// Concat of float values that stay channels-last.

#include "lib/fast/loops/concat.h"

#include <cstring>

#include "lib/base/parallel.h"
#include "lib/fast/loops/kernels.h"

namespace roundel::engine {
namespace {

// The axis, normalized; -1 if the inputs are incompatible.
int64_t ResultShape(FastContext& context, int64_t wanted, Shape* shape, Layout* layout) {
  int64_t axis = -1;
  for (size_t i = 0; i < context.input_count(); ++i) {
    const Value* x = context.input(i);
    if (!x || x->dtype() != DType::kFloat) return -1;
    if (x->layout == Layout::kChannelsLast) *layout = x->layout;
    if (i == 0) {
      *shape = x->shape;
      const auto rank = static_cast<int64_t>(shape->size());
      axis = wanted < 0 ? wanted + rank : wanted;
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

class ConcatKernel : public FastKernel {
 public:
  explicit ConcatKernel(int64_t axis) : axis_(axis) {}

  bool Run(FastContext& context) override {
    const std::optional<ConcatPlan> plan = PlanConcat(context, axis_);
    if (!plan || plan->layout == Layout::kPlain) return false;  // the plain kernel is as fast
    const size_t count = context.input_count();
    std::vector<const float*> from(count);
    for (size_t i = 0; i < count; ++i) {
      from[i] = context.Data(i, plan->layout);
      if (!from[i]) return false;
    }
    float* to = context.Output(plan->shape, plan->layout);
    if (!to) return false;
    if (plan->total == 0) return true;
    ParallelFor(plan->outer, 1 + (1 << 14) / plan->total, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        float* target = to + row * plan->total;
        for (size_t i = 0; i < count; target += plan->run[i++])
          std::memcpy(target, from[i] + row * plan->run[i],
                      static_cast<size_t>(plan->run[i]) * sizeof(float));
      }
    });
    return true;
  }

 private:
  const int64_t axis_;
};

}  // namespace

std::optional<ConcatPlan> PlanConcat(FastContext& context, int64_t axis) {
  ConcatPlan plan;
  axis = ResultShape(context, axis, &plan.shape, &plan.layout);
  if (axis < 0) return std::nullopt;
  axis = PhysicalAxis(axis, static_cast<int64_t>(plan.shape.size()), plan.layout);
  for (size_t i = 0; i < context.input_count(); ++i) {
    const Shape physical = PhysicalShape(context.input(i)->shape, plan.layout);
    int64_t run = 1;
    plan.outer = 1;
    for (size_t k = 0; k < physical.size(); ++k)
      (static_cast<int64_t>(k) < axis ? plan.outer : run) *= physical[k];
    plan.run.push_back(run);
    plan.total += run;
  }
  return plan;
}

std::unique_ptr<FastKernel> MakeConcatKernel(const KernelSpec& spec) {
  return std::make_unique<ConcatKernel>(spec.main->Int("axis", 1));
}

}  // namespace roundel::engine
