#include "lib/engine/kernels/strided_copy.h"

#include <cstring>

#include "lib/engine/kernels/types.h"

namespace roundel::engine {
namespace {

// A copy with axes merged where both sides run on without a gap.
struct Loops {
  Shape dims;
  std::vector<int64_t> from, to;  // strides
};

Loops MergeAxes(const Shape& shape, const View& from, const View& to) {
  Loops loops;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    if (!loops.dims.empty() && loops.from.back() == from.strides[i] * shape[i] &&
        loops.to.back() == to.strides[i] * shape[i]) {
      loops.dims.back() *= shape[i];
      loops.from.back() = from.strides[i];
      loops.to.back() = to.strides[i];
    } else {
      loops.dims.push_back(shape[i]);
      loops.from.push_back(from.strides[i]);
      loops.to.push_back(to.strides[i]);
    }
  }
  if (loops.dims.empty()) loops = {{1}, {1}, {1}};
  return loops;
}

template <typename T>
void CopyRow(const T* from, int64_t step_from, T* to, int64_t step_to, int64_t n) {
  if (step_from == 1 && step_to == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < n; ++i) to[i * step_to] = from[i * step_from];
}

template <typename T>
void RunLoops(const Loops& loops, const T* from, T* to) {
  const auto axes = static_cast<int64_t>(loops.dims.size());
  const int64_t inner = loops.dims.back();
  ParallelFor(Product(loops.dims, 0, axes - 1), RowGrain(inner), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t source = 0, target = 0, rest = row;
      for (int64_t axis = axes - 2; axis >= 0; --axis) {
        const int64_t index = rest % loops.dims[axis];
        rest /= loops.dims[axis];
        source += index * loops.from[axis];
        target += index * loops.to[axis];
      }
      CopyRow(from + source, loops.from.back(), to + target, loops.to.back(), inner);
    }
  });
}

}  // namespace

Status CopyStrided(const Shape& shape, const Tensor& from, const View& view_from, Tensor* to,
                   const View& view_to) {
  if (NumElements(shape) == 0) return OkStatus();
  const Loops loops = MergeAxes(shape, view_from, view_to);
  return VisitBytes(from.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    RunLoops(loops, static_cast<const T*>(from.raw()) + view_from.offset,
             static_cast<T*>(to->mutable_raw()) + view_to.offset);
    return OkStatus();
  });
}

}  // namespace roundel::engine
