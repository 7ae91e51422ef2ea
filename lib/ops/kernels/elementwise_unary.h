#pragma once
// The loop of operators that map each element independently.

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {

// output 0 = op(input 0) element by element, in the wide type of T, result of type R.
template <typename T, typename R, typename Op>
Status MapElements(OpContext& context, const Op& op) {
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DTypeOf<R>::value, x.shape()));
  const T* from = x.data<T>();
  R* to = y->mutable_data<R>();
  ParallelFor(x.size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = R(op(static_cast<Wide<T>>(from[i])));
  });
  return OkStatus();
}

// `op` is callable with float and double.
template <typename Op>
Status MapFloats(OpContext& context, const Op& op) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  return VisitFloat(context.input(0)->dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    return MapElements<T, T>(context, op);
  });
}

}  // namespace roundel::engine
