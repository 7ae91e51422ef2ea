#pragma once
// The loop of operators with two broadcast operands.

#include "lib/ops/kernels/broadcast.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {

// One run: a and b advance by 0 or 1. The three cases are separate loops so that they vectorize.
template <typename T, typename R, typename Op>
void BinaryRun(const T* a, int64_t step_a, const T* b, int64_t step_b, R* out, int64_t n,
               const Op& op) {
  using W = Wide<T>;
  if (step_a != 0 && step_b != 0) {
    for (int64_t i = 0; i < n; ++i) out[i] = R(op(W(a[i]), W(b[i])));
  } else if (step_a != 0) {
    const W fixed = W(b[0]);
    for (int64_t i = 0; i < n; ++i) out[i] = R(op(W(a[i]), fixed));
  } else if (step_b != 0) {
    const W fixed = W(a[0]);
    for (int64_t i = 0; i < n; ++i) out[i] = R(op(fixed, W(b[i])));
  } else {
    for (int64_t i = 0; i < n; ++i) out[i] = R(op(W(a[0]), W(b[0])));
  }
}

// Both operands of the binary operator exist and have the same type.
inline Status CheckOperands(const OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const DType a = context.input(0)->dtype(), b = context.input(1)->dtype();
  if (a == b) return OkStatus();
  return ModelError(StrCat("operands of different types ", DTypeName(a), " and ", DTypeName(b)));
}

// output 0 = op(input 0, input 1), broadcast.
template <typename T, typename R, typename Op>
Status MapPairs(OpContext& context, const Op& op) {
  const Tensor &a = *context.input(0), &b = *context.input(1);
  ASSIGN_OR_RETURN(const Shape shape_b, LegacyBroadcastShape(context, a.shape(), b.shape()));
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({a.shape(), shape_b}));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DTypeOf<R>::value, plan.shape));
  const T *data_a = a.data<T>(), *data_b = b.data<T>();
  R* out = y->mutable_data<R>();
  ForEachRun(plan, [&](int64_t at, const int64_t* in, int64_t n) {
    BinaryRun(data_a + in[0], plan.step(0), data_b + in[1], plan.step(1), out + at, n, op);
  });
  return OkStatus();
}

}  // namespace roundel::engine
