// Gradients of operators that move, select or repeat elements. The forward kernel runs on the indices
// of the elements instead of the elements: each result then says where it came from, and its gradient
// is added there. So every attribute and every version of the operator has one meaning, that of the
// forward kernel.
//
// Inputs: dY, then the inputs of the forward node, of which those with data give only their shapes.
// Outputs: the gradients of these, in order.

#include <algorithm>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/slice_view.h"
#include "lib/ops/kernels/strided_copy.h"

namespace roundel::engine {
namespace {

struct Mover {
  const char* forward;
  std::vector<size_t> data;  // its inputs that hold data
  size_t fill = 99;          // its input that holds a number of the data's type
};

const Mover& MoverOf(const std::string& forward) {
  static const std::vector<Mover> movers = {
      {"DepthToSpace", {0}}, {"Gather", {0}},       {"GatherElements", {0}},
      {"GatherND", {0}},     {"Pad", {0}, 2},       {"ScatterElements", {0, 2}},
      {"ScatterND", {0, 2}}, {"SpaceToDepth", {0}}, {"Tile", {0}},
      {"Trilu", {0}},
  };
  for (const Mover& mover : movers)
    if (forward == mover.forward) return mover;
  INVARIANT(false, forward);
}

// Counts from `first`: 0 stands for elements that the operator adds by itself.
Tensor Indices(const Shape& shape, int64_t first) {
  Tensor indices = Tensor::Empty(DType::kInt64, shape);
  int64_t* to = indices.mutable_data<int64_t>();
  for (int64_t i = 0; i < indices.size(); ++i) to[i] = first + i;
  return indices;
}

Status MovesGrad(OpContext& context) {
  const Mover& mover = MoverOf(ForwardType(context.node()));
  RETURN_IF_ERROR(RequireInputs(context, mover.data.back() + 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  std::vector<Tensor> inputs;
  for (size_t i = 1; i < context.input_count(); ++i)
    inputs.push_back(i - 1 == mover.fill ? Tensor() : InputOrNone(context, i));
  std::vector<int64_t> starts;  // the first index of each input with data
  int64_t next = 1;
  for (const size_t i : mover.data) {
    RETURN_IF_ERROR(CheckSize(DType::kInt64, inputs[i].shape()));
    starts.push_back(next);
    inputs[i] = Indices(inputs[i].shape(), next);
    next += inputs[i].size();
  }
  graph::Node attributes = context.node();
  attributes.RemoveAttribute("value");  // of Pad, before version 11
  ASSIGN_OR_RETURN(const std::vector<Tensor> sources,
                   RunInner(mover.forward, inputs, attributes, 1, ForwardOpset(context.node())));
  RETURN_IF_ERROR(RequireShape(context, 0, sources[0].shape()));
  ASSIGN_OR_RETURN(std::vector<double> sums, NewSums({next}));
  const float* dy = context.input(0)->data<float>();
  const int64_t* source = sources[0].data<int64_t>();
  for (int64_t i = 0; i < sources[0].size(); ++i) sums[source[i]] += static_cast<double>(dy[i]);
  for (size_t k = 0; k < starts.size(); ++k) {
    if (!context.wants(k)) continue;
    const Shape shape = inputs[mover.data[k]].shape();
    ASSIGN_OR_RETURN(Tensor * dx, NewOutput(context, k, DType::kFloat, shape));
    float* to = dx->mutable_data<float>();
    for (int64_t i = 0; i < dx->size(); ++i) to[i] = static_cast<float>(sums[starts[k] + i]);
  }
  return OkStatus();
}

// SliceGrad(dY, X, the other inputs of Slice): dY in place of the slice, else zeros.
Status SliceGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  std::vector<Tensor> inputs;
  for (size_t i = 1; i < context.input_count(); ++i) inputs.push_back(InputOrNone(context, i));
  const InnerContext forward(context.node(), ForwardOpset(context.node()), inputs, 1);
  Shape shape;
  ASSIGN_OR_RETURN(const View view, ResolveSlice(forward, &shape));
  RETURN_IF_ERROR(RequireShape(context, 0, shape));
  ASSIGN_OR_RETURN(Tensor * dx, NewOutput(context, 0, DType::kFloat, inputs[0].shape()));
  std::fill_n(dx->mutable_data<float>(), dx->size(), 0.0f);
  return CopyStrided(shape, *context.input(0), WholeView(shape), dx, view);
}

// ConcatGrad(dY, X1, ..., Xn) -> dX1, ..., dXn: the parts of dY.
Status ConcatGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, std::max<size_t>(1, context.input_count())));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& dy = *context.input(0);
  const int64_t fallback = ForwardOpset(context.node()) < 4 ? 1 : 0;
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", fallback), dy.rank()));
  View source = WholeView(dy.shape());
  int64_t total = 0;
  for (size_t k = 0; k + 1 < context.input_count(); ++k) {
    const Shape shape = context.input(k + 1)->shape();
    Shape same = shape;
    if (same.size() == dy.shape().size()) same[axis] = dy.dim(axis);
    if (same != dy.shape() || (total += shape[axis]) > dy.dim(axis))
      return ModelError(StrCat("part ", ShapeString(shape), " of ", ShapeString(dy.shape())));
    if (context.wants(k)) {
      ASSIGN_OR_RETURN(Tensor * dx, NewOutput(context, k, DType::kFloat, shape));
      RETURN_IF_ERROR(CopyStrided(shape, dy, source, dx, WholeView(shape)));
    }
    source.offset += shape[axis] * source.strides[axis];
  }
  return OkStatus();
}

// ReshapeLike(dY, X): dY in the shape of X, the gradient of everything that only reshapes.
Status ReshapeLike(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor &dy = *context.input(0), &x = *context.input(1);
  if (dy.size() != x.size())
    return ModelError(
        StrCat("cannot reshape ", ShapeString(dy.shape()), " to ", ShapeString(x.shape())));
  context.SetOutput(0, dy.Reshaped(x.shape()));
  return OkStatus();
}

// FlattenRows(X) -> [rows, last axis]: all matrices of a batch as one.
Status FlattenRows(OpContext& context) {
  RETURN_IF_ERROR(RequireRank(context, 0, 1));
  const Tensor& x = *context.input(0);
  context.SetOutput(0, x.Reshaped({Product(x.shape(), 0, x.rank() - 1), x.dim(-1)}));
  return OkStatus();
}

// FillLike(X): a tensor of X's shape, all elements `value`.
Status FillLike(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, context.input(0)->shape()));
  std::fill_n(y->mutable_data<float>(), y->size(), context.node().Float("value", 0));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> GradientMovesRows() {
  std::vector<OpEntry> rows = {
      {"ConcatGrad", "roundel", 1, kLatest, &ConcatGrad},
      {"FillLike", "roundel", 1, kLatest, &FillLike},
      {"FlattenRows", "roundel", 1, kLatest, &FlattenRows},
      {"ReshapeLike", "roundel", 1, kLatest, &ReshapeLike},
      {"SliceGrad", "roundel", 1, kLatest, &SliceGrad},
  };
  for (const char* op :
       {"DepthToSpaceGrad", "GatherElementsGrad", "GatherGrad", "GatherNDGrad", "PadGrad",
        "ScatterElementsGrad", "ScatterNDGrad", "SpaceToDepthGrad", "TileGrad", "TriluGrad"})
    rows.push_back({op, "roundel", 1, kLatest, &MovesGrad});
  return rows;
}

}  // namespace roundel::engine
