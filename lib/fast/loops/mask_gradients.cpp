// Gradients that are masks: of Relu (where its result is positive) and of Clip (where its input is
// within the bounds), in any layout, in place if nothing else reads dY.
#pragma GCC optimize("O3")

#include <cmath>

#include "lib/base/vectorize.h"
#include "lib/fast/loops/kernels.h"

namespace roundel::engine {
namespace {

// dx = low <= v <= high ? dy : 0
ROUNDEL_VECTORIZE void KeepWithin(const float* dy, const float* v, float low, float high, int64_t n,
                                  float* dx) {
  for (int64_t i = 0; i < n; ++i) {
    const float d = dy[i];
    dx[i] = (v[i] >= low) & (v[i] <= high) ? d : 0.0f;
  }
}
ROUNDEL_VECTORIZE void ClearOutside(const float* v, float low, float high, int64_t n, float* dx) {
  for (int64_t i = 0; i < n; ++i) {
    const float d = dx[i];
    dx[i] = (v[i] >= low) & (v[i] <= high) ? d : 0.0f;
  }
}

// dY, V (, bounds) -> dX
class MaskGradient : public FastKernel {
 public:
  explicit MaskGradient(const graph::Node& node)
      : relu_(node.op_type == "ReluGrad"),
        given_{!node.input(2).empty(), !node.input(3).empty()},
        low_(relu_ ? std::nextafter(0.0f, 1.0f) : node.Float("min", -INFINITY)),
        high_(relu_ ? INFINITY : node.Float("max", INFINITY)) {}

  bool Run(FastContext& context) override {
    const Value *dy = context.input(0), *v = context.input(1);
    if (!dy || !v || dy->dtype() != DType::kFloat || v->dtype() != DType::kFloat ||
        dy->shape != v->shape)
      return false;
    float bounds[2] = {low_, high_};
    for (size_t k = 0; k < 2; ++k)
      if (given_[k] && !Bound(context, k + 2, &bounds[k])) return false;
    const Shape shape = v->shape;
    const Layout layout = v->layout;
    const int64_t n = NumElements(shape);
    const bool over = dy->layout == layout && context.CanOverwrite(0);
    const float* from = context.Data(1, layout);
    const float* d = over ? nullptr : context.Data(0, layout);
    if (!from || (!over && !d)) return false;
    float* to = over ? context.OutputOver(0, shape, layout) : context.Output(shape, layout);
    if (!to) return false;
    if (over)
      ClearOutside(from, bounds[0], bounds[1], n, to);
    else
      KeepWithin(d, from, bounds[0], bounds[1], n, to);
    return true;
  }

 private:
  static bool Bound(FastContext& context, size_t i, float* bound) {
    const Value* value = context.input(i);
    if (!value || value->dtype() != DType::kFloat || NumElements(value->shape) != 1) return false;
    const float* data = context.Data(i, Layout::kPlain);
    if (data) *bound = *data;
    return data != nullptr;
  }

  const bool relu_;
  const bool given_[2];  // bounds as inputs
  const float low_, high_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeMaskGradient(const KernelSpec& spec) {
  return std::make_unique<MaskGradient>(*spec.main);
}

}  // namespace roundel::engine
