#include "lib/ops/kernels/broadcast.h"

namespace roundel::engine {
namespace {

Status DoNotFit(const std::vector<Shape>& operands) {
  std::vector<std::string> texts;
  for (const Shape& shape : operands) texts.push_back(ShapeString(shape));
  return ModelError(StrCat("shapes ", Join(texts, " and "), " do not broadcast"));
}

// Strides of `shape` as part of a result of `rank` axes: 0 for missing axes and axes of size 1.
std::vector<int64_t> AlignedStrides(const Shape& shape, size_t rank) {
  std::vector<int64_t> aligned(rank, 0);
  const std::vector<int64_t> strides = Strides(shape);
  for (size_t i = 0; i < shape.size(); ++i)
    aligned[rank - shape.size() + i] = shape[i] == 1 ? 0 : strides[i];
  return aligned;
}

}  // namespace

Result<Broadcast> PlanBroadcast(const std::vector<Shape>& operands) {
  Broadcast plan;
  size_t rank = 0;
  for (const Shape& shape : operands) rank = std::max(rank, shape.size());
  plan.shape.assign(rank, 1);
  for (const Shape& shape : operands) {
    for (size_t i = 0; i < shape.size(); ++i) {
      int64_t& dim = plan.shape[rank - shape.size() + i];
      if (dim != 1 && shape[i] != 1 && dim != shape[i]) return DoNotFit(operands);
      if (dim == 1) dim = shape[i];
    }
  }
  RETURN_IF_ERROR(CheckedNumElements(plan.shape, DType::kComplex128).status());
  std::vector<std::vector<int64_t>> full;
  for (const Shape& shape : operands) full.push_back(AlignedStrides(shape, rank));
  plan.strides.resize(operands.size());
  for (size_t axis = 0; axis < rank; ++axis) {
    const int64_t dim = plan.shape[axis];
    if (dim == 1) continue;
    bool merge = !plan.dims.empty();
    for (size_t k = 0; k < operands.size() && merge; ++k)
      merge = plan.strides[k].back() == full[k][axis] * dim;
    if (merge) {
      plan.dims.back() *= dim;
      for (size_t k = 0; k < operands.size(); ++k) plan.strides[k].back() = full[k][axis];
    } else {
      plan.dims.push_back(dim);
      for (size_t k = 0; k < operands.size(); ++k) plan.strides[k].push_back(full[k][axis]);
    }
  }
  if (plan.dims.empty()) {  // a single element
    plan.dims.push_back(1);
    for (auto& strides : plan.strides) strides.push_back(0);
  }
  return plan;
}

Result<Shape> LegacyBroadcastShape(const OpContext& context, const Shape& a, const Shape& b) {
  if (context.opset() >= 7 || context.node().Int("broadcast", 0) == 0) return b;
  const auto rank_a = static_cast<int64_t>(a.size()), rank_b = static_cast<int64_t>(b.size());
  const int64_t axis = context.node().Int("axis", rank_a - rank_b);
  if (axis < 0 || axis + rank_b > rank_a)
    return ModelError(
        StrCat("shape ", ShapeString(b), " at axis ", axis, " does not fit into ", ShapeString(a)));
  Shape aligned = b;
  aligned.resize(static_cast<size_t>(rank_a - axis), 1);
  return aligned;
}

}  // namespace roundel::engine
