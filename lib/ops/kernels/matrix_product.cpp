#include "lib/ops/kernels/matrix_product.h"

#include "lib/ops/kernels/broadcast.h"

namespace roundel::engine {

Result<BatchedProduct> ResolveProduct(const Shape& a, const Shape& b) {
  const auto misfit = [&] {
    return ModelError(StrCat("matrices ", ShapeString(a), " and ", ShapeString(b), " do not fit"));
  };
  if (a.empty() || b.empty()) return misfit();
  Shape left = a, right = b;
  if (a.size() == 1) left.insert(left.begin(), 1);
  if (b.size() == 1) right.push_back(1);
  BatchedProduct product;
  product.m = left[left.size() - 2];
  product.k = left.back();
  product.n = right.back();
  if (right[right.size() - 2] != product.k) return misfit();
  const Shape outer_a(left.begin(), left.end() - 2), outer_b(right.begin(), right.end() - 2);
  const auto plan = PlanBroadcast({outer_a, outer_b});
  if (!plan.ok()) return misfit();
  product.shape = plan->shape;
  if (a.size() > 1) product.shape.push_back(product.m);
  if (b.size() > 1) product.shape.push_back(product.n);
  RETURN_IF_ERROR(CheckSize(DType::kFloat, product.shape));
  if (NumElements(product.shape) == 0) return product;  // no matrix to compute
  const int64_t matrices = NumElements(plan->shape);
  product.batch_a.resize(static_cast<size_t>(matrices));
  product.batch_b.resize(static_cast<size_t>(matrices));
  ForEachRun(*plan, [&](int64_t at, const int64_t* in, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      product.batch_a[at + i] = in[0] + i * plan->step(0);
      product.batch_b[at + i] = in[1] + i * plan->step(1);
    }
  });
  return product;
}

}  // namespace roundel::engine
