// Operators that read shapes or change the shape of a value; no element is moved.

#include <algorithm>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"

namespace roundel::engine {
namespace {

Status SetReshaped(OpContext& context, const Shape& shape) {
  context.SetOutput(0, context.input(0)->Reshaped(shape));
  return OkStatus();
}

Status Identity(OpContext& context) {
  if (context.node().input(0).empty()) return ModelError("input 0 is missing");
  context.SetDatum(0, context.datum(0));
  return OkStatus();
}

// ---- Reshape

// The target of Reshape: 0 copies the input's dimension (unless allowzero), one -1 is inferred.
Result<Shape> ReshapeTarget(const Shape& from, const std::vector<int64_t>& wanted,
                            bool allow_zero) {
  const auto misfit = [&] {
    return ModelError(StrCat("cannot reshape ", ShapeString(from), " to ", ShapeString(wanted)));
  };
  Shape shape = wanted;
  int64_t inferred = -1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && !allow_zero) {
      if (i >= from.size()) return misfit();
      shape[i] = from[i];
    } else if (shape[i] == -1) {
      if (inferred >= 0) return misfit();
      inferred = static_cast<int64_t>(i);
      shape[i] = 1;
    } else if (shape[i] < 0) {
      return misfit();
    }
  }
  const auto known = CheckedNumElements(shape, DType::kUint8);
  if (!known.ok()) return misfit();
  const int64_t total = NumElements(from);
  if (inferred >= 0) {
    if (*known == 0 || total % *known != 0) return misfit();
    shape[inferred] = total / *known;
  } else if (*known != total) {
    return misfit();
  }
  return shape;
}

Status Reshape(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  std::vector<int64_t> wanted;
  if (context.opset() < 5) {
    wanted = context.node().Ints("shape");
  } else {
    ASSIGN_OR_RETURN(wanted, IntegerInput(context, 1));
  }
  ASSIGN_OR_RETURN(const Shape shape, ReshapeTarget(context.input(0)->shape(), wanted,
                                                    context.node().Int("allowzero", 0) != 0));
  return SetReshaped(context, shape);
}

Status Flatten(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Shape& shape = context.input(0)->shape();
  const int64_t rank = context.input(0)->rank();
  int64_t axis = context.node().Int("axis", 1);
  if (axis < -rank || axis > rank)
    return ModelError(StrCat("axis ", axis, " is out of range for shape ", ShapeString(shape)));
  if (axis < 0) axis += rank;
  return SetReshaped(context, {Product(shape, 0, axis), Product(shape, axis, rank)});
}

// ---- Squeeze, Unsqueeze: axes are an attribute below opset 13, an input since then

Result<std::vector<int64_t>> AxesOf(const OpContext& context) {
  if (context.opset() < 13) return context.node().Ints("axes");
  if (context.input(1) == nullptr) return std::vector<int64_t>();
  return IntegerInput(context, 1);
}

Status Squeeze(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Shape& from = context.input(0)->shape();
  ASSIGN_OR_RETURN(const std::vector<int64_t> raw, AxesOf(context));
  ASSIGN_OR_RETURN(const std::vector<int64_t> axes, NormalAxes(raw, context.input(0)->rank()));
  Shape shape;
  for (int64_t i = 0; i < static_cast<int64_t>(from.size()); ++i) {
    const bool named = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (named && from[i] != 1)
      return ModelError(StrCat("cannot squeeze axis ", i, " of shape ", ShapeString(from)));
    const bool drop = axes.empty() ? from[i] == 1 : named;
    if (!drop) shape.push_back(from[i]);
  }
  return SetReshaped(context, shape);
}

Status Unsqueeze(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Shape& from = context.input(0)->shape();
  ASSIGN_OR_RETURN(const std::vector<int64_t> raw, AxesOf(context));
  const size_t rank = from.size() + raw.size();
  ASSIGN_OR_RETURN(const std::vector<int64_t> axes, NormalAxes(raw, static_cast<int64_t>(rank)));
  Shape shape(rank, 0);
  for (int64_t axis : axes) shape[axis] = 1;
  auto next = from.begin();
  for (int64_t i = 0; i < static_cast<int64_t>(rank); ++i)
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) shape[i] = *next++;
  return SetReshaped(context, shape);
}

// ---- Shape, Size

Status ShapeOf(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Shape& shape = context.input(0)->shape();
  const int64_t rank = context.input(0)->rank();
  const auto clamped = [rank](int64_t i) {
    return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank);
  };
  const int64_t start = clamped(context.node().Int("start", 0));
  const int64_t end = clamped(context.node().Int("end", rank));
  const Shape part(shape.begin() + start, shape.begin() + std::max(start, end));
  context.SetOutput(0, Tensor::FromVector<int64_t>({static_cast<int64_t>(part.size())}, part));
  return OkStatus();
}

Status Size(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  context.SetOutput(0, Tensor::Scalar<int64_t>(context.input(0)->size()));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> ShapeRows() {
  return {
      {"Flatten", "", 1, kLatest, &Flatten},     {"Identity", "", 1, kLatest, &Identity, true},
      {"Reshape", "", 1, kLatest, &Reshape},     {"Shape", "", 1, kLatest, &ShapeOf},
      {"Size", "", 1, kLatest, &Size},           {"Squeeze", "", 1, kLatest, &Squeeze},
      {"Unsqueeze", "", 1, kLatest, &Unsqueeze},
  };
}

}  // namespace roundel::engine
