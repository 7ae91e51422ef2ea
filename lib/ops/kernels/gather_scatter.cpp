// Gather, GatherElements, GatherND, ScatterElements (Scatter), ScatterND, Compress,
// ReverseSequence, OneHot.

#include <algorithm>
#include <cstring>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/spatial.h"
#include "lib/ops/kernels/types.h"

namespace roundel::engine {
namespace {

Status BadIndex(int64_t index, int64_t dim) {
  return ModelError(StrCat("index ", index, " is out of range for an axis of ", dim));
}

// Indices of an axis of `dim` elements, negative ones counted from the end.
Result<std::vector<int64_t>> NormalIndices(const OpContext& context, size_t input, int64_t dim) {
  ASSIGN_OR_RETURN(std::vector<int64_t> indices, IntegerInput(context, input));
  for (int64_t& index : indices) {
    if (index < -dim || index >= dim) return BadIndex(index, dim);
    if (index < 0) index += dim;
  }
  return indices;
}

// Slices are moved as bytes, for any type.
Status RequireWholeBytes(const Tensor& x) {
  return BitWidth(x.dtype()) >= 8 ? OkStatus() : UnsupportedType(x.dtype());
}

// ---- Gather

Status Gather(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor& x = *context.input(0);
  RETURN_IF_ERROR(RequireWholeBytes(x));
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", 0), x.rank()));
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, NormalIndices(context, 1, x.dim(axis)));
  const Shape& index_shape = context.input(1)->shape();
  Shape shape(x.shape().begin(), x.shape().begin() + axis);
  shape.insert(shape.end(), index_shape.begin(), index_shape.end());
  shape.insert(shape.end(), x.shape().begin() + axis + 1, x.shape().end());
  const int64_t outer = Product(x.shape(), 0, axis), dim = x.dim(axis);
  const int64_t inner = Product(x.shape(), axis + 1, x.rank());
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), shape));
  if (y->size() == 0) return OkStatus();
  const int64_t bytes = ByteSize(x.dtype(), inner), count = static_cast<int64_t>(indices.size());
  // a table in a mapped file is read row by row, without a copy
  const std::byte* from = x.bytes().data();
  auto* to = static_cast<std::byte*>(y->mutable_raw());
  ParallelFor(outer * count, RowGrain(inner), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      std::memcpy(to + row * bytes, from + (row / count * dim + indices[row % count]) * bytes,
                  static_cast<size_t>(bytes));
  });
  return OkStatus();
}

// ---- GatherElements, ScatterElements: indices have x's rank and give positions along one axis

// Checks that the shape of the indices fits into x's shape on all axes but `axis`.
Result<std::vector<int64_t>> ElementIndices(const OpContext& context, int64_t axis) {
  const Tensor& x = *context.input(0);
  const Shape& shape = context.input(1)->shape();
  bool fits = shape.size() == x.shape().size();
  for (size_t i = 0; fits && i < shape.size(); ++i)
    fits = static_cast<int64_t>(i) == axis || shape[i] <= x.shape()[i];
  if (!fits)
    return ModelError(StrCat("indices of shape ", ShapeString(shape), " do not fit x ",
                             ShapeString(x.shape()), " along axis ", axis));
  return NormalIndices(context, 1, x.dim(axis));
}

// f(flat position in indices, flat position in x) for every index.
template <typename F>
void ForEachElement(const Shape& x, const Shape& indices_shape, int64_t axis,
                    const std::vector<int64_t>& indices, const F& f) {
  const std::vector<int64_t> strides = Strides(x);
  int64_t flat = 0;
  for (Odometer at(indices_shape); !at.done(); at.Next(), ++flat) {
    int64_t place = 0;
    for (size_t i = 0; i < strides.size(); ++i)
      place += strides[i] * (static_cast<int64_t>(i) == axis ? indices[flat] : at[i]);
    f(flat, place);
  }
}

Status GatherElements(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", 0), x.rank()));
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ElementIndices(context, axis));
  const Shape shape = context.input(1)->shape();
  return VisitBytes(x.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), shape));
    const T* from = static_cast<const T*>(x.raw());
    T* to = static_cast<T*>(y->mutable_raw());
    ForEachElement(x.shape(), shape, axis, indices,
                   [&](int64_t flat, int64_t place) { to[flat] = from[place]; });
    return OkStatus();
  });
}

// ---- reductions of Scatter*

enum class Combine { kReplace, kAdd, kMul, kMin, kMax };

Result<Combine> CombineOf(const graph::Node& node) {
  const std::string name = node.String("reduction", "none");
  if (name == "none") return Combine::kReplace;
  if (name == "add") return Combine::kAdd;
  if (name == "mul") return Combine::kMul;
  if (name == "min") return Combine::kMin;
  if (name == "max") return Combine::kMax;
  return ModelError(StrCat("there is no reduction '", name, "'"));
}

template <typename T>
T Combined(Combine how, T old, T update) {
  using W = Wide<T>;
  const W a = static_cast<W>(old), b = static_cast<W>(update);
  if constexpr (std::is_same_v<T, bool>) {
    return how == Combine::kReplace                       ? b
           : how == Combine::kMul || how == Combine::kMin ? a && b
                                                          : a || b;
  } else if constexpr (std::is_integral_v<T>) {
    const auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
    if (how == Combine::kAdd) return static_cast<T>(ua + ub);
    if (how == Combine::kMul) return static_cast<T>(ua * ub);
  } else {
    if (how == Combine::kAdd) return T(a + b);
    if (how == Combine::kMul) return T(a * b);
  }
  if (how == Combine::kMin) return T(std::min(a, b));
  if (how == Combine::kMax) return T(std::max(a, b));
  return update;
}

// Input 2 has x's type and the shape wanted.
Status CheckUpdates(const OpContext& context, const Shape& wanted) {
  const Tensor &x = *context.input(0), &updates = *context.input(2);
  if (updates.dtype() == x.dtype() && updates.shape() == wanted) return OkStatus();
  return ModelError(StrCat("updates ", DTypeName(updates.dtype()), ShapeString(updates.shape()),
                           " where ", DTypeName(x.dtype()), ShapeString(wanted), " is needed"));
}

Status ScatterElements(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  const Tensor &x = *context.input(0), &updates = *context.input(2);
  const Shape shape = context.input(1)->shape();
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", 0), x.rank()));
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ElementIndices(context, axis));
  ASSIGN_OR_RETURN(const Combine how, CombineOf(context.node()));
  RETURN_IF_ERROR(CheckUpdates(context, shape));
  return VisitNumericOrBool(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    Tensor y = x;
    T* to = y.mutable_data<T>();
    const T* from = updates.data<T>();
    ForEachElement(x.shape(), shape, axis, indices, [&](int64_t flat, int64_t place) {
      to[place] = Combined(how, to[place], from[flat]);
    });
    context.SetOutput(0, std::move(y));
    return OkStatus();
  });
}

// ---- GatherND, ScatterND: the last axis of indices holds index tuples

struct Tuples {
  std::vector<int64_t> starts;  // first element of x in the slice of each tuple
  int64_t slice;                // elements of a slice
  Shape outer, inner;           // axes of the tuples | axes of a slice
};

Result<Tuples> ResolveTuples(const OpContext& context, int64_t batch_dims) {
  const Tensor& x = *context.input(0);
  const Shape& shape = context.input(1)->shape();
  const auto misfit = [&] {
    return ModelError(StrCat("indices of shape ", ShapeString(shape), " do not fit x ",
                             ShapeString(x.shape()), " with batch_dims ", batch_dims));
  };
  if (shape.empty() || batch_dims < 0 || batch_dims >= static_cast<int64_t>(shape.size()))
    return misfit();
  const int64_t width = shape.back();
  if (batch_dims + width > x.rank()) return misfit();
  for (int64_t i = 0; i < batch_dims; ++i)
    if (shape[i] != x.dim(i)) return misfit();
  ASSIGN_OR_RETURN(const std::vector<int64_t> values, IntegerInput(context, 1));
  Tuples tuples;
  tuples.outer.assign(shape.begin(), shape.end() - 1);
  tuples.inner.assign(x.shape().begin() + batch_dims + width, x.shape().end());
  tuples.slice = NumElements(tuples.inner);
  const int64_t count = Product(shape, 0, static_cast<int64_t>(shape.size()) - 1);
  const int64_t batches = Product(shape, 0, batch_dims);
  const int64_t batch_size = Product(x.shape(), batch_dims, x.rank());
  const std::vector<int64_t> strides = Strides(x.shape());
  RETURN_IF_ERROR(CheckSize(DType::kInt64, {count}));
  for (int64_t t = 0; t < count; ++t) {
    int64_t start = t / (count / batches) * batch_size;
    for (int64_t k = 0; k < width; ++k) {
      const int64_t dim = x.dim(batch_dims + k), index = values[t * width + k];
      if (index < -dim || index >= dim) return BadIndex(index, dim);
      start += (index < 0 ? index + dim : index) * strides[batch_dims + k];
    }
    tuples.starts.push_back(start);
  }
  return tuples;
}

Shape TupleShape(const Tuples& tuples) {
  Shape shape = tuples.outer;
  shape.insert(shape.end(), tuples.inner.begin(), tuples.inner.end());
  return shape;
}

Status GatherNd(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  const Tensor& x = *context.input(0);
  RETURN_IF_ERROR(RequireWholeBytes(x));
  ASSIGN_OR_RETURN(const Tuples tuples,
                   ResolveTuples(context, context.node().Int("batch_dims", 0)));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), TupleShape(tuples)));
  if (y->size() == 0) return OkStatus();
  const int64_t width = ByteSize(x.dtype(), 1), bytes = width * tuples.slice;
  const auto* from = static_cast<const std::byte*>(x.raw());
  auto* to = static_cast<std::byte*>(y->mutable_raw());
  for (size_t t = 0; t < tuples.starts.size(); ++t)
    std::memcpy(to + static_cast<int64_t>(t) * bytes, from + tuples.starts[t] * width,
                static_cast<size_t>(bytes));
  return OkStatus();
}

Status ScatterNd(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  const Tensor &x = *context.input(0), &updates = *context.input(2);
  ASSIGN_OR_RETURN(const Tuples tuples, ResolveTuples(context, 0));
  ASSIGN_OR_RETURN(const Combine how, CombineOf(context.node()));
  RETURN_IF_ERROR(CheckUpdates(context, TupleShape(tuples)));
  return VisitNumericOrBool(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::Type;
    Tensor y = x;
    T* to = y.mutable_data<T>();
    const T* from = updates.data<T>();
    for (int64_t start : tuples.starts)
      for (int64_t i = 0; i < tuples.slice; ++i, ++from)
        to[start + i] = Combined(how, to[start + i], *from);
    context.SetOutput(0, std::move(y));
    return OkStatus();
  });
}

// ---- Compress: the slices along an axis whose condition is true

Status Compress(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireWholeBytes(*context.input(0)));
  const Tensor& condition = *context.input(1);
  if (condition.dtype() != DType::kBool) return UnsupportedType(condition.dtype());
  const bool flat = context.node().FindAttribute("axis") == nullptr;
  const Tensor x =
      flat ? context.input(0)->Reshaped({context.input(0)->size()}) : *context.input(0);
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(context.node().Int("axis", 0), x.rank()));
  const int64_t dim = x.dim(axis), outer = Product(x.shape(), 0, axis);
  const int64_t bytes = ByteSize(x.dtype(), Product(x.shape(), axis + 1, x.rank()));
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < std::min(dim, condition.size()); ++i)
    if (condition.data<bool>()[i]) kept.push_back(i);
  Shape shape = x.shape();
  shape[axis] = static_cast<int64_t>(kept.size());
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), shape));
  if (y->size() == 0) return OkStatus();
  const auto* from = static_cast<const std::byte*>(x.raw());
  auto* to = static_cast<std::byte*>(y->mutable_raw());
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i : kept) {
      std::memcpy(to, from + (o * dim + i) * bytes, static_cast<size_t>(bytes));
      to += bytes;
    }
  return OkStatus();
}

// ---- ReverseSequence: reverses the first sequence_lens[b] time steps of every batch entry

Status ReverseSequence(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  const Tensor& x = *context.input(0);
  RETURN_IF_ERROR(RequireWholeBytes(x));
  const int64_t time_axis = context.node().Int("time_axis", 0);
  const int64_t batch_axis = context.node().Int("batch_axis", 1);
  ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, IntegerInput(context, 1));
  if (time_axis < 0 || time_axis > 1 || batch_axis != 1 - time_axis ||
      static_cast<int64_t>(lengths.size()) != x.dim(batch_axis))
    return ModelError(StrCat("ReverseSequence over ", ShapeString(x.shape()), " with time_axis ",
                             time_axis, ", batch_axis ", batch_axis, " and ", lengths.size(),
                             " lengths"));
  for (int64_t length : lengths)
    if (length < 0 || length > x.dim(time_axis)) return BadIndex(length, x.dim(time_axis));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), x.shape()));
  const int64_t bytes = ByteSize(x.dtype(), Product(x.shape(), 2, x.rank()));
  const auto* from = static_cast<const std::byte*>(x.raw());
  auto* to = static_cast<std::byte*>(y->mutable_raw());
  if (bytes == 0) return OkStatus();
  for (int64_t i = 0; i < x.dim(0); ++i) {
    for (int64_t j = 0; j < x.dim(1); ++j) {
      const int64_t length = lengths[time_axis == 0 ? j : i], t = time_axis == 0 ? i : j;
      const int64_t source = t < length ? length - 1 - t : t;
      const int64_t row = time_axis == 0 ? source * x.dim(1) + j : i * x.dim(1) + source;
      std::memcpy(to, from + row * bytes, static_cast<size_t>(bytes));
      to += bytes;
    }
  }
  return OkStatus();
}

// ---- OneHot: an index out of range gives a row that is all off

Status OneHot(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  const Tensor &indices = *context.input(0), &values = *context.input(2);
  ASSIGN_OR_RETURN(const float depth_value, FloatScalar(context, 1));
  ASSIGN_OR_RETURN(const int64_t axis,
                   NormalAxis(context.node().Int("axis", -1), indices.rank() + 1));
  if (values.size() != 2 || !(depth_value >= 1 && depth_value < 1e9f))
    return ModelError(StrCat("OneHot with depth ", depth_value, " and values of shape ",
                             ShapeString(values.shape()), " ([2] needed)"));
  if (!IsInteger(indices.dtype()) && !IsFloating(indices.dtype()))
    return UnsupportedType(indices.dtype());
  const auto depth = static_cast<int64_t>(depth_value);
  const Tensor positions = indices.ToFloat();
  Shape shape = indices.shape();
  shape.insert(shape.begin() + axis, depth);
  const int64_t step = Product(shape, axis + 1, static_cast<int64_t>(shape.size()));
  return VisitBytes(values.dtype(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, values.dtype(), shape));
    const T* off_on = static_cast<const T*>(values.raw());
    T* to = static_cast<T*>(y->mutable_raw());
    std::fill(to, to + y->size(), off_on[0]);
    for (int64_t i = 0; i < positions.size(); ++i) {
      const auto raw = ConvertTo<int64_t>(positions.data<float>()[i]);
      if (raw < -depth || raw >= depth) continue;
      const int64_t hot = raw < 0 ? raw + depth : raw;
      to[(i / step * depth + hot) * step + i % step] = off_on[1];
    }
    return OkStatus();
  });
}

}  // namespace

std::vector<OpEntry> GatherRows() {
  return {
      {"Compress", "", 9, kLatest, &Compress},
      {"Gather", "", 1, kLatest, &Gather},
      {"GatherElements", "", 11, kLatest, &GatherElements},
      {"GatherND", "", 11, kLatest, &GatherNd},
      {"OneHot", "", 9, kLatest, &OneHot},
      {"ReverseSequence", "", 10, kLatest, &ReverseSequence},
      {"Scatter", "", 9, 10, &ScatterElements},
      {"ScatterElements", "", 11, kLatest, &ScatterElements},
      {"ScatterND", "", 11, kLatest, &ScatterNd},
  };
}

}  // namespace roundel::engine
