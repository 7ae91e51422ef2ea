// Pad: constant, reflect, edge and wrap; negative pads crop.

#include <algorithm>
#include <numeric>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {
namespace {

// [begin of every axis..., end of every axis...] for all axes of x.
Result<std::vector<int64_t>> ReadPads(const OpContext& context, int64_t rank) {
  if (context.opset() < 11) {
    std::vector<int64_t> pads = context.node().Ints("pads", context.node().Ints("paddings"));
    if (static_cast<int64_t>(pads.size()) == 2 * rank) return pads;
    return ModelError(StrCat("pads [", Join(pads), "] for ", rank, " dimensions"));
  }
  ASSIGN_OR_RETURN(const std::vector<int64_t> given, IntegerInput(context, 1));
  std::vector<int64_t> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  if (context.input(3)) {
    ASSIGN_OR_RETURN(const std::vector<int64_t> raw, IntegerInput(context, 3));
    ASSIGN_OR_RETURN(axes, NormalAxes(raw, rank));
  }
  if (given.size() != 2 * axes.size())
    return ModelError(StrCat("pads [", Join(given), "] for ", axes.size(), " axes"));
  std::vector<int64_t> pads(static_cast<size_t>(2 * rank), 0);
  for (size_t k = 0; k < axes.size(); ++k) {
    pads[axes[k]] = given[k];
    pads[rank + axes[k]] = given[axes.size() + k];
  }
  return pads;
}

int64_t PositiveModulo(int64_t a, int64_t b) { return (a % b + b) % b; }

// The input index that output position p (relative to the first input element) of an axis of n
// elements reads; -1: the constant.
int64_t SourceIndex(const std::string& mode, int64_t p, int64_t n) {
  if (p >= 0 && p < n) return p;
  if (mode == "edge") return std::clamp<int64_t>(p, 0, n - 1);
  if (mode == "wrap") return PositiveModulo(p, n);
  if (mode == "reflect") {
    if (n == 1) return 0;
    const int64_t q = PositiveModulo(p, 2 * (n - 1));
    return q < n ? q : 2 * (n - 1) - q;
  }
  return -1;
}

// Source index of every output index, per axis.
using AxisMaps = std::vector<std::vector<int64_t>>;

Result<AxisMaps> BuildMaps(const std::string& mode, const Shape& x,
                           const std::vector<int64_t>& pads, Shape* shape) {
  const size_t rank = x.size();
  for (size_t i = 0; i < rank; ++i) {
    int64_t dim = 0;
    if (__builtin_add_overflow(x[i], pads[i], &dim) ||
        __builtin_add_overflow(dim, pads[rank + i], &dim) || dim < 0)
      return ModelError(StrCat("pads [", Join(pads), "] do not fit shape ", ShapeString(x)));
    if (x[i] == 0 && dim > 0 && mode != "constant")
      return ModelError(
          StrCat("cannot pad the empty axis ", i, " of ", ShapeString(x), " with mode ", mode));
    shape->push_back(dim);
  }
  RETURN_IF_ERROR(CheckSize(DType::kInt64, *shape));  // the maps are int64
  AxisMaps maps(rank);
  if (NumElements(*shape) == 0) return maps;
  for (size_t i = 0; i < rank; ++i) {
    maps[i].reserve(static_cast<size_t>((*shape)[i]));
    for (int64_t o = 0; o < (*shape)[i]; ++o)
      maps[i].push_back(SourceIndex(mode, o - pads[i], x[i]));
  }
  return maps;
}

template <typename T>
void CopyMapped(const Tensor& x, const AxisMaps& maps, T fill, Tensor* y) {
  const Shape& shape = y->shape();
  const size_t last = shape.size() - 1;
  const std::vector<int64_t> strides = Strides(x.shape());
  const T* from = static_cast<const T*>(x.raw());
  T* to = static_cast<T*>(y->mutable_raw());
  const int64_t inner = shape[last];
  ParallelFor(Product(shape, 0, static_cast<int64_t>(last)), RowGrain(inner),
              [&](int64_t begin, int64_t end) {
                for (int64_t row = begin; row < end; ++row) {
                  int64_t base = 0, rest = row;
                  for (size_t axis = last; axis-- > 0;) {
                    const int64_t source = maps[axis][rest % shape[axis]];
                    rest /= shape[axis];
                    base = source < 0 || base < 0 ? -1 : base + source * strides[axis];
                  }
                  T* line = to + row * inner;
                  for (int64_t i = 0; i < inner; ++i)
                    line[i] = base < 0 || maps[last][i] < 0 ? fill : from[base + maps[last][i]];
                }
              });
}

// The constant: attribute `value` below opset 11, input 2 since then; 0 by default.
template <typename T>
Result<T> FillValue(const OpContext& context) {
  if (context.opset() < 11) return ConvertTo<T>(context.node().Float("value", 0));
  const Tensor* value = context.input(2);
  if (value == nullptr) return ConvertTo<T>(0.0f);
  if (value->dtype() != DTypeOf<T>::value || value->size() != 1)
    return ModelError(StrCat("the pad value is ", DTypeName(value->dtype()),
                             ShapeString(value->shape()), ", a scalar of type ",
                             DTypeName(DTypeOf<T>::value), " is needed"));
  return value->data<T>()[0];
}

Status Pad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  const std::string mode = context.node().String("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return ModelError(StrCat("Pad has no mode '", mode, "'"));
  ASSIGN_OR_RETURN(const std::vector<int64_t> pads, ReadPads(context, x.rank()));
  Shape shape;
  ASSIGN_OR_RETURN(const AxisMaps maps, BuildMaps(mode, x.shape(), pads, &shape));
  if (x.rank() == 0) {
    context.SetOutput(0, x);
    return OkStatus();
  }
  return VisitNumericOrBool(x.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(const T fill, FillValue<T>(context));
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), shape));
    if (y->size() > 0) CopyMapped<T>(x, maps, fill, y);
    return OkStatus();
  });
}

}  // namespace

std::vector<OpEntry> PadRows() {
  return {
      {"Pad", "", 1, kLatest, &Pad},
  };
}

}  // namespace roundel::engine
