#pragma once
// Helpers of all kernels: checked access to inputs, outputs of limited size, axes, strides.

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "lib/base/parallel.h"
#include "lib/base/status.h"
#include "lib/base/text.h"
#include "lib/ops/op.h"
#include "lib/tensor/tensor.h"

namespace roundel::engine {

// Elements per parallel chunk of element-wise work; fixed, so that results do not depend on
// threads.
inline constexpr int64_t kGrain = 1 << 14;
// Rows per chunk so that a chunk holds about kGrain elements.
inline int64_t RowGrain(int64_t row_elements) {
  return row_elements >= kGrain ? 1 : kGrain / (row_elements > 0 ? row_elements : 1);
}

// The maximum size of one value: a hostile shape gives an error instead of exhausting the memory.
inline constexpr int64_t kMaxTensorBytes = int64_t{1} << 32;

// kModel if one of the first `count` inputs is missing.
Status RequireInputs(const OpContext& context, size_t count);
// kModel if a listed input is present and not float32 (ViaFloat has converted the other floating
// types).
Status RequireFloat(const OpContext& context, std::initializer_list<size_t> inputs);
// kModel unless input `i` has at least this rank.
Status RequireRank(const OpContext& context, size_t i, int64_t rank);
// kModel if `shape` has a negative dimension or is larger than kMaxTensorBytes.
Status CheckSize(DType type, const Shape& shape);

// OpContext::Output after CheckSize.
Result<Tensor*> NewOutput(OpContext& context, size_t i, DType type, const Shape& shape);

// The values of integer input `i` (axes, shapes, pads); kModel if it is missing or not integer.
Result<std::vector<int64_t>> IntegerInput(const OpContext& context, size_t i);
// The only element of integer input `i`.
Result<int64_t> IntegerScalar(const OpContext& context, size_t i);
// The only element of floating or integer input `i`.
Result<float> FloatScalar(const OpContext& context, size_t i);

// An axis in [-rank, rank) as one in [0, rank).
Result<int64_t> NormalAxis(int64_t axis, int64_t rank);
// The same for a list; duplicates are an error.
Result<std::vector<int64_t>> NormalAxes(const std::vector<int64_t>& axes, int64_t rank);

// Product of dimensions [begin, end).
int64_t Product(const Shape& shape, int64_t begin, int64_t end);
// The stride of each axis in elements, row-major.
std::vector<int64_t> Strides(const Shape& shape);

}  // namespace roundel::engine
