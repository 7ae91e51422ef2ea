#pragma once
// Multidirectional (numpy) broadcasting: https://onnx.ai/onnx/repo-docs/Broadcasting.html

#include <algorithm>
#include <cstdint>
#include <vector>

#include "lib/ops/kernels/common.h"

namespace roundel::engine {

// The strides of operands for a traversal of the result in row-major order. Adjacent axes with the
// same pattern in all operands are merged, so that equal shapes become one axis.
struct Broadcast {
  Shape shape;                                // of the result, not merged
  std::vector<int64_t> dims;                  // merged; at least one
  std::vector<std::vector<int64_t>> strides;  // [operand][merged axis]; 0 if broadcast
  int64_t inner() const { return dims.back(); }
  // 1 or 0: the step of an operand along the last merged axis.
  int64_t step(size_t operand) const { return strides[operand].back(); }
};

// Errors: kModel, with the shapes, if they do not broadcast.
Result<Broadcast> PlanBroadcast(const std::vector<Shape>& operands);

// Opset below 7: the second operand is aligned at attribute `axis` (or at the end) if `broadcast`
// is set. The result is its shape for broadcasting from the right.
Result<Shape> LegacyBroadcastShape(const OpContext& context, const Shape& a, const Shape& b);

// Calls f(out, in, n) for runs of n result elements from flat index `out`; operand k starts at
// in[k] and advances by plan.step(k). In parallel, in chunks that depend only on shapes.
template <typename F>
void ForEachRun(const Broadcast& plan, const F& f) {
  const int64_t inner = plan.inner();
  const int64_t outer_axes = static_cast<int64_t>(plan.dims.size()) - 1;
  const int64_t rows = Product(plan.dims, 0, outer_axes);
  if (rows == 0 || inner == 0) return;
  const int64_t pieces = (inner + kGrain - 1) / kGrain;  // long rows are split
  const size_t operands = plan.strides.size();
  ParallelFor(rows * pieces, RowGrain(inner), [&](int64_t begin, int64_t end) {
    std::vector<int64_t> in(operands);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t row = unit / pieces, start = unit % pieces * kGrain;
      const int64_t length = std::min(kGrain, inner - start);
      for (size_t k = 0; k < operands; ++k) in[k] = start * plan.step(k);
      int64_t rest = row;
      for (int64_t axis = outer_axes - 1; axis >= 0; --axis) {
        const int64_t index = rest % plan.dims[axis];
        rest /= plan.dims[axis];
        for (size_t k = 0; k < operands; ++k) in[k] += index * plan.strides[k][axis];
      }
      f(row * inner + start, in.data(), length);
    }
  });
}

}  // namespace roundel::engine
