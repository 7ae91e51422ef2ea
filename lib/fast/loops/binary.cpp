// Add, Sub, Mul, Div, Min, Max of two values; the result has the shape and layout of one of them.
#pragma GCC optimize("O3")

#include <algorithm>

#include "lib/base/vectorize.h"
#include "lib/fast/loops/kernels.h"
#include "lib/fast/loops/post_ops.h"
#include "lib/ops/kernels/broadcast.h"

namespace roundel::engine {
namespace {

enum class BinaryOp { kAdd, kSub, kMul, kDiv, kMin, kMax };

template <BinaryOp op>
inline float Apply(float a, float b) {
  if constexpr (op == BinaryOp::kAdd) return a + b;
  if constexpr (op == BinaryOp::kSub) return a - b;
  if constexpr (op == BinaryOp::kMul) return a * b;
  if constexpr (op == BinaryOp::kDiv) return a / b;
  // If an operand is NaN, the result is NaN.
  if constexpr (op == BinaryOp::kMin) return a < b || a != a ? a : b;
  if constexpr (op == BinaryOp::kMax) return a > b || a != a ? a : b;
}

// step: 1 along the operand, 0 for one repeated value.
template <BinaryOp op>
inline __attribute__((always_inline)) void Rows(const float* a, int64_t a_step, const float* b,
                                                int64_t b_step, float* to, int64_t n) {
  if (a_step == 1 && b_step == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] = Apply<op>(a[i], b[i]);
  } else if (a_step == 1) {
    const float y = *b;
    for (int64_t i = 0; i < n; ++i) to[i] = Apply<op>(a[i], y);
  } else {
    const float x = *a;
    for (int64_t i = 0; i < n; ++i) to[i] = Apply<op>(x, b[i * b_step]);
  }
}

ROUNDEL_VECTORIZE void Combine(BinaryOp op, const float* a, int64_t a_step, const float* b,
                               int64_t b_step, float* to, int64_t n) {
  switch (op) {
    case BinaryOp::kAdd: return Rows<BinaryOp::kAdd>(a, a_step, b, b_step, to, n);
    case BinaryOp::kSub: return Rows<BinaryOp::kSub>(a, a_step, b, b_step, to, n);
    case BinaryOp::kMul: return Rows<BinaryOp::kMul>(a, a_step, b, b_step, to, n);
    case BinaryOp::kDiv: return Rows<BinaryOp::kDiv>(a, a_step, b, b_step, to, n);
    case BinaryOp::kMin: return Rows<BinaryOp::kMin>(a, a_step, b, b_step, to, n);
    case BinaryOp::kMax: return Rows<BinaryOp::kMax>(a, a_step, b, b_step, to, n);
  }
}

class BinaryKernel : public FastKernel {
 public:
  BinaryKernel(BinaryOp op, const KernelSpec& spec)
      : op_(op), min_rank_(spec.min_rank), runner_(spec.post_ops) {}

  bool Run(FastContext& context) override {
    const Value* operands[2] = {context.input(0), context.input(1)};
    for (const Value* operand : operands)
      if (!operand || operand->dtype() != DType::kFloat) return false;
    // The operand whose shape the result has. If both have it, the one whose layout needs less
    // conversion and whose memory can be reused.
    size_t main = 0;
    const bool same = operands[0]->shape == operands[1]->shape;
    if (same) {
      if (operands[1]->layout == Layout::kChannelsLast) main = 1;
      if (operands[0]->layout == operands[1]->layout) main = context.CanOverwrite(0) ? 0 : 1;
    } else if (!Contains(operands[0]->shape, operands[1]->shape)) {
      if (!Contains(operands[1]->shape, operands[0]->shape)) return false;
      main = 1;
    }
    const Shape shape = operands[main]->shape;
    const Layout layout = operands[main]->layout;
    if (static_cast<int64_t>(shape.size()) < min_rank_) return false;
    const float* data[2];
    Shape physical[2];
    data[main] = context.Data(main, layout);
    physical[main] = PhysicalShape(shape, layout);
    data[1 - main] = Other(context, 1 - main, shape.size(), layout, &physical[1 - main]);
    if (!data[0] || !data[1]) return false;
    float* to = context.CanOverwrite(main) ? context.OutputOver(main, shape, layout)
                                           : context.Output(shape, layout);
    if (!to) return false;
    const Result<Broadcast> plan = PlanBroadcast({physical[0], physical[1]});
    INVARIANT(plan.ok(), "shapes were checked");
    ForEachRun(*plan, [&](int64_t out, const int64_t* in, int64_t n) {
      Combine(op_, data[0] + in[0], plan->step(0), data[1] + in[1], plan->step(1), to + out, n);
    });
    runner_.Run(to, to, NumElements(shape));
    return true;
  }

 private:
  // True if broadcasting `small` to `large` gives `large`.
  static bool Contains(const Shape& large, const Shape& small) {
    if (small.size() > large.size()) return false;
    for (size_t i = 1; i <= small.size(); ++i) {
      const int64_t dim = small[small.size() - i];
      if (dim != 1 && dim != large[large.size() - i]) return false;
    }
    return true;
  }

  // The other operand in the axis order of the main one, its rank raised to `rank`.
  static const float* Other(FastContext& context, size_t i, size_t rank, Layout layout,
                            Shape* physical) {
    Shape shape = context.input(i)->shape;
    const size_t missing = rank - shape.size();
    shape.insert(shape.begin(), missing, 1);
    *physical = PhysicalShape(shape, layout);
    if (layout == Layout::kPlain || missing == 0) return context.Data(i, layout);
    return LayoutsCoincide(shape) ? context.Data(i, Layout::kPlain) : nullptr;
  }

  const BinaryOp op_;
  const int64_t min_rank_;
  PostOpRunner runner_;
};

}  // namespace

std::unique_ptr<FastKernel> MakeBinaryKernel(const KernelSpec& spec) {
  const std::string& name = spec.main->op_type;
  const int64_t broadcasts_since = name == "Min" || name == "Max" ? 8 : 7;
  if (spec.opset < broadcasts_since || spec.constants.size() != 2) return nullptr;
  const BinaryOp op = name == "Add"   ? BinaryOp::kAdd
                      : name == "Sub" ? BinaryOp::kSub
                      : name == "Mul" ? BinaryOp::kMul
                      : name == "Div" ? BinaryOp::kDiv
                      : name == "Min" ? BinaryOp::kMin
                                      : BinaryOp::kMax;
  return std::make_unique<BinaryKernel>(op, spec);
}

}  // namespace roundel::engine
