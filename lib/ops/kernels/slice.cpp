// Slice, Split, Concat, Expand and Tile: rectangular copies.

#include <algorithm>
#include <limits>
#include <numeric>

#include "lib/ops/kernels/broadcast.h"
#include "lib/ops/kernels/concat.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/slice_view.h"
#include "lib/ops/kernels/strided_copy.h"

namespace roundel::engine {
namespace {

// ---- Slice: attributes below opset 10, inputs since then

struct SliceSpec {
  std::vector<int64_t> starts, ends, axes, steps;
};

Result<SliceSpec> ReadSlice(const OpContext& context) {
  SliceSpec spec;
  if (context.opset() < 10) {
    spec.starts = context.node().Ints("starts");
    spec.ends = context.node().Ints("ends");
    spec.axes = context.node().Ints("axes");
  } else {
    ASSIGN_OR_RETURN(spec.starts, IntegerInput(context, 1));
    ASSIGN_OR_RETURN(spec.ends, IntegerInput(context, 2));
    if (context.input(3)) {
      ASSIGN_OR_RETURN(spec.axes, IntegerInput(context, 3));
    }
    if (context.input(4)) {
      ASSIGN_OR_RETURN(spec.steps, IntegerInput(context, 4));
    }
  }
  const size_t n = spec.starts.size();
  if (spec.axes.empty()) {
    spec.axes.resize(n);
    std::iota(spec.axes.begin(), spec.axes.end(), 0);
  }
  if (spec.steps.empty()) spec.steps.assign(n, 1);
  if (spec.ends.size() != n || spec.axes.size() != n || spec.steps.size() != n)
    return ModelError(StrCat("Slice has ", n, " starts, ", spec.ends.size(), " ends, ",
                             spec.axes.size(), " axes and ", spec.steps.size(), " steps"));
  return spec;
}

// An index of Python's slice notation, clamped to [low, high].
int64_t ClampIndex(int64_t index, int64_t dim, int64_t low, int64_t high) {
  if (index < 0) index = index < -dim ? low : index + dim;
  return std::clamp(index, low, high);
}

}  // namespace

Result<View> ResolveSlice(const OpContext& context, Shape* shape) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const SliceSpec spec, ReadSlice(context));
  ASSIGN_OR_RETURN(const std::vector<int64_t> axes, NormalAxes(spec.axes, x.rank()));
  *shape = x.shape();
  View view = WholeView(*shape);
  for (size_t k = 0; k < axes.size(); ++k) {
    const int64_t dim = x.dim(axes[k]), step = spec.steps[k];
    if (step == 0) return ModelError(StrCat("step 0 along axis ", axes[k]));
    if (dim == 0) continue;
    const bool forward = step > 0;
    const int64_t first = ClampIndex(spec.starts[k], dim, 0, forward ? dim : dim - 1);
    const int64_t last = forward ? ClampIndex(spec.ends[k], dim, 0, dim)
                                 : ClampIndex(spec.ends[k], dim, -1, dim - 1);
    const int64_t distance = forward ? last - first : first - last;
    // Any step beyond the dimension selects one element; the clamp avoids overflow of products.
    const int64_t stride = std::clamp(step, -(dim + 1), dim + 1);
    const int64_t size = forward ? stride : -stride;
    int64_t& count = (*shape)[axes[k]];
    count = distance <= 0 ? 0 : (distance + size - 1) / size;
    view.offset += count == 0 ? 0 : first * view.strides[axes[k]];
    view.strides[axes[k]] *= stride;
  }
  return view;
}

namespace {

Status Slice(OpContext& context) {
  Shape shape;
  ASSIGN_OR_RETURN(const View view, ResolveSlice(context, &shape));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), shape));
  return CopyStrided(shape, x, view, y, WholeView(shape));
}

// ---- Concat

}  // namespace

Status PutConcat(OpContext& context, const std::vector<Tensor>& parts, int64_t axis) {
  const Tensor& first = parts[0];
  ASSIGN_OR_RETURN(axis, NormalAxis(axis, first.rank()));
  Shape shape = first.shape();
  shape[axis] = 0;
  for (const Tensor& x : parts) {
    Shape same = x.shape();
    if (x.rank() == first.rank()) same[axis] = first.dim(axis);
    if (same != first.shape() || x.dtype() != first.dtype())
      return ModelError(StrCat("cannot concatenate ", DTypeName(first.dtype()),
                               ShapeString(first.shape()), " and ", DTypeName(x.dtype()),
                               ShapeString(x.shape()), " along axis ", axis));
    if (__builtin_add_overflow(shape[axis], x.dim(axis), &shape[axis]))
      return ModelError("the concatenated axis overflows");
  }
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, first.dtype(), shape));
  View target = WholeView(shape);
  for (const Tensor& x : parts) {
    RETURN_IF_ERROR(CopyStrided(x.shape(), x, WholeView(x.shape()), y, target));
    target.offset += x.dim(axis) * target.strides[axis];
  }
  return OkStatus();
}

namespace {

Status Concat(OpContext& context) {
  const size_t count = context.input_count();
  RETURN_IF_ERROR(RequireInputs(context, std::max<size_t>(count, 1)));
  std::vector<Tensor> parts;
  for (size_t k = 0; k < count; ++k) parts.push_back(*context.input(k));
  return PutConcat(context, parts, context.node().Int("axis", 1));
}

// ---- Split: sizes from an attribute (below 13) or input, or equal parts

Result<std::vector<int64_t>> PartSizes(const OpContext& context, int64_t dim) {
  std::vector<int64_t> sizes = context.node().Ints("split");
  if (context.opset() >= 13 && context.input(1)) {
    ASSIGN_OR_RETURN(sizes, IntegerInput(context, 1));
  }
  const auto parts = static_cast<int64_t>(context.output_count());
  if (!sizes.empty()) {
    int64_t total = 0;
    for (int64_t size : sizes) {
      if (size < 0 || size > dim) total = -1;
      if (total >= 0) total += size;
    }
    if (total != dim || static_cast<int64_t>(sizes.size()) != parts)
      return ModelError(StrCat("split [", Join(sizes), "] into ", parts,
                               " outputs does not add up to dimension ", dim));
    return sizes;
  }
  // Opset 18 permits a shorter last part; before, the parts must be equal.
  const int64_t wanted = context.node().Int("num_outputs", parts);
  if (wanted != parts || parts == 0 || (context.opset() < 18 && dim % parts != 0))
    return ModelError(StrCat("dimension ", dim, " does not split into ", wanted, " parts for ",
                             parts, " outputs"));
  const int64_t part = (dim + parts - 1) / parts;
  if (dim > 0 && part * (parts - 1) >= dim)
    return ModelError(
        StrCat("dimension ", dim, " is too small for ", parts, " parts: the last would be empty"));
  for (int64_t i = 0; i < parts; ++i) sizes.push_back(std::clamp<int64_t>(dim - i * part, 0, part));
  return sizes;
}

Status SplitKernel(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", 0), x.rank()));
  ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, PartSizes(context, x.dim(axis)));
  View source = WholeView(x.shape());
  for (size_t k = 0; k < sizes.size(); ++k) {
    Shape shape = x.shape();
    shape[axis] = sizes[k];
    if (context.wants(k)) {
      ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, k, x.dtype(), shape));
      RETURN_IF_ERROR(CopyStrided(shape, x, source, y, WholeView(shape)));
    }
    source.offset += sizes[k] * source.strides[axis];
  }
  return OkStatus();
}

// ---- Expand, Tile

Status Expand(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const Shape wanted, IntegerInput(context, 1));
  for (int64_t dim : wanted)
    if (dim < 0) return ModelError(StrCat("negative dimension in ", ShapeString(wanted)));
  ASSIGN_OR_RETURN(const Broadcast plan, PlanBroadcast({x.shape(), wanted}));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), plan.shape));
  return CopyStrided(plan.dims, x, {0, plan.strides[0]}, y, WholeView(plan.dims));
}

Status Tile(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  std::vector<int64_t> repeats;
  if (context.opset() < 6) {  // repeats of one axis
    ASSIGN_OR_RETURN(const int64_t tiles, IntegerScalar(context, 1));
    ASSIGN_OR_RETURN(const int64_t raw_axis, IntegerScalar(context, 2));
    ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(raw_axis, x.rank()));
    repeats.assign(x.shape().size(), 1);
    repeats[axis] = tiles;
  } else {
    ASSIGN_OR_RETURN(repeats, IntegerInput(context, 1));
  }
  if (repeats.size() != x.shape().size())
    return ModelError(
        StrCat("repeats [", Join(repeats), "] do not fit shape ", ShapeString(x.shape())));
  // Index space [repeats_0, dim_0, repeats_1, dim_1, ...]; the source has stride 0 along repeats.
  Shape shape, index_space;
  View source;
  const std::vector<int64_t> strides = Strides(x.shape());
  for (size_t i = 0; i < repeats.size(); ++i) {
    int64_t dim = 0;
    if (repeats[i] < 0 || __builtin_mul_overflow(repeats[i], x.shape()[i], &dim))
      return ModelError(
          StrCat("repeats [", Join(repeats), "] do not fit shape ", ShapeString(x.shape())));
    shape.push_back(dim);
    index_space.insert(index_space.end(), {repeats[i], x.shape()[i]});
    source.strides.insert(source.strides.end(), {0, strides[i]});
  }
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), shape));
  if (y->size() == 0) return OkStatus();
  return CopyStrided(index_space, x, source, y, WholeView(index_space));
}

}  // namespace

std::vector<OpEntry> SliceRows() {
  return {
      {"Concat", "", 1, kLatest, &Concat}, {"Expand", "", 8, kLatest, &Expand},
      {"Slice", "", 1, kLatest, &Slice},   {"Split", "", 2, kLatest, &SplitKernel},
      {"Tile", "", 1, kLatest, &Tile},
  };
}

}  // namespace roundel::engine
