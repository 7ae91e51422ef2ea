// MaxPool, AveragePool, LpPool, their global forms, and MaxUnpool, over any number of spatial axes.
#pragma GCC optimize("O3")

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/pool_window.h"
#include "lib/ops/kernels/sums.h"
#include "lib/ops/kernels/types.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

// ---- MaxPool

// Row-major index within a plane -> column-major, for storage_order 1.
int64_t ColumnMajor(const Shape& dims, int64_t flat) {
  int64_t result = 0;
  std::vector<int64_t> index(dims.size());
  for (size_t i = dims.size(); i-- > 0; flat /= dims[i]) index[i] = flat % dims[i];
  for (size_t i = dims.size(); i-- > 0;) result = result * dims[i] + index[i];
  return result;
}

template <typename T>
Status MaxPoolTyped(OpContext& context) {
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const Window window, PoolWindow(context.node(), x));
  const Shape shape = OutputShape(x, window);
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, x.dtype(), shape));
  int64_t* places = nullptr;
  if (context.wants(1)) {
    ASSIGN_OR_RETURN(Tensor * indices, NewOutput(context, 1, DType::kInt64, shape));
    places = indices->mutable_data<int64_t>();
  }
  const bool column_major = context.node().Int("storage_order", 0) != 0;
  const T* from = x.data<T>();
  T* to = y->mutable_data<T>();
  const int64_t in_plane = NumElements(window.input);
  ForEachOutput(
      x, window,
      [&](TapWalker& walker, int64_t plane, const std::vector<int64_t>& out, int64_t flat) {
        const T* data = from + plane * in_plane;
        int64_t best = -1;
        walker.ForEachTap(out, [&](int64_t i) {
          if (best < 0 || data[i] > data[best]) best = i;
        });
        // A window may be entirely in the padding.
        to[flat] = best >= 0 ? data[best] : std::numeric_limits<T>::lowest();
        if (places == nullptr) return;
        best = std::max<int64_t>(best, 0);
        places[flat] = plane * in_plane + (column_major ? ColumnMajor(window.input, best) : best);
      });
  return OkStatus();
}

Status MaxPool(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  switch (context.input(0)->dtype()) {
    case DType::kFloat: return MaxPoolTyped<float>(context);
    case DType::kInt8: return MaxPoolTyped<int8_t>(context);
    case DType::kUint8: return MaxPoolTyped<uint8_t>(context);
    default: return UnsupportedType(context.input(0)->dtype());
  }
}

// ---- AveragePool, LpPool

Status AveragePool(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const Window window, PoolWindow(context.node(), x));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, OutputShape(x, window)));
  const bool include_pad = context.node().Int("count_include_pad", 0) != 0;
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  const int64_t in_plane = NumElements(window.input);
  ForEachOutput(
      x, window,
      [&](TapWalker& walker, int64_t plane, const std::vector<int64_t>& out, int64_t flat) {
        const float* data = from + plane * in_plane;
        double sum = 0;
        int64_t count = 0;
        walker.ForEachTap(out, [&](int64_t i) {
          sum += static_cast<double>(data[i]);
          ++count;
        });
        if (include_pad) count = TapsWithPadding(window, out);
        to[flat] = count == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(count));
      });
  return OkStatus();
}

Status LpPool(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const Window window, PoolWindow(context.node(), x));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, OutputShape(x, window)));
  const auto p = static_cast<double>(context.node().Int("p", 2));
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  const int64_t in_plane = NumElements(window.input);
  ForEachOutput(
      x, window,
      [&](TapWalker& walker, int64_t plane, const std::vector<int64_t>& out, int64_t flat) {
        const float* data = from + plane * in_plane;
        double sum = 0;
        walker.ForEachTap(
            out, [&](int64_t i) { sum += std::pow(std::fabs(static_cast<double>(data[i])), p); });
        to[flat] = static_cast<float>(std::pow(sum, 1.0 / p));
      });
  return OkStatus();
}

// ---- MaxUnpool: writes values to the positions given by MaxPool's indices, zeros elsewhere

// The smallest shape that MaxPool's input can have had: (in - 1) * stride + kernel - pads.
Result<Shape> UnpooledShape(const OpContext& context) {
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const Shape spatial, SpatialShape(x));
  const graph::Node& node = context.node();
  ASSIGN_OR_RETURN(const std::vector<int64_t> strides,
                   PositiveAttribute(node, "strides", spatial.size()));
  ASSIGN_OR_RETURN(const std::vector<int64_t> kernel,
                   PositiveAttribute(node, "kernel_shape", spatial.size()));
  const std::vector<int64_t> pads = node.Ints("pads", std::vector<int64_t>(2 * spatial.size(), 0));
  if (pads.size() != 2 * spatial.size())
    return ModelError(StrCat("pads [", Join(pads), "] for ", spatial.size(), " axes"));
  Shape shape = {x.dim(0), x.dim(1)};
  for (size_t i = 0; i < spatial.size(); ++i) {
    const int64_t full = (std::min<int64_t>(spatial[i], 1 << 30) - 1) * strides[i] + kernel[i];
    shape.push_back(full - std::clamp<int64_t>(pads[i], 0, full) -
                    std::clamp<int64_t>(pads[spatial.size() + i], 0, full));
  }
  return shape;
}

Status MaxUnpool(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, IntegerInput(context, 1));
  ASSIGN_OR_RETURN(const Shape inferred, UnpooledShape(context));
  RETURN_IF_ERROR(CheckSize(DType::kFloat, inferred));
  Shape shape = inferred;
  if (context.input(2)) {
    ASSIGN_OR_RETURN(shape, IntegerInput(context, 2));
  }
  if (indices.size() != static_cast<size_t>(x.size()) || shape.size() != inferred.size())
    return ModelError(StrCat("x ", ShapeString(x.shape()), ", ", indices.size(),
                             " indices and output shape ", ShapeString(shape), " do not fit"));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  float* to = y->mutable_data<float>();
  std::fill_n(to, y->size(), 0.0f);
  // Indices refer to the inferred shape, even if another output shape is requested.
  const std::vector<int64_t> strides = Strides(shape);
  for (size_t k = 0; k < indices.size(); ++k) {
    int64_t flat = 0, rest = indices[k];
    bool inside = rest >= 0 && rest < NumElements(inferred);
    for (size_t axis = shape.size(); inside && axis-- > 0; rest /= inferred[axis]) {
      const int64_t index = rest % inferred[axis];
      inside = index < shape[axis];
      flat += index * strides[axis];
    }
    if (!inside)
      return ModelError(StrCat("index ", indices[k], " is outside of ", ShapeString(shape)));
    to[flat] = x.data<float>()[k];
  }
  return OkStatus();
}

// ---- the global forms: one value per plane

// y[n, c] = reduce(plane, elements of a plane)
template <typename F>
Status GlobalPool(OpContext& context, const F& reduce) {
  RETURN_IF_ERROR(RequireRank(context, 0, 2));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  Shape shape(x.shape().size(), 1);
  shape[0] = x.dim(0);
  shape[1] = x.dim(1);
  const int64_t plane = Product(x.shape(), 2, x.rank());
  if (plane == 0) return ModelError(StrCat("empty planes in shape ", ShapeString(x.shape())));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, shape));
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  ParallelFor(x.dim(0) * x.dim(1), RowGrain(plane), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      to[i] = static_cast<float>(reduce(from + i * plane, plane));
  });
  return OkStatus();
}

Status GlobalAveragePool(OpContext& context) {
  return GlobalPool(context, [](const float* plane, int64_t n) {
    return SumOf(plane, n) / static_cast<double>(n);
  });
}

Status GlobalMaxPool(OpContext& context) {
  return GlobalPool(context, [](const float* plane, int64_t n) {
    float best = plane[0];
    for (int64_t i = 1; i < n; ++i) best = plane[i] > best ? plane[i] : best;
    return best;
  });
}

Status GlobalLpPool(OpContext& context) {
  const auto p = static_cast<double>(context.node().Int("p", 2));
  return GlobalPool(context, [p](const float* plane, int64_t n) {
    return std::pow(SumOf(plane, n, [p](double v) { return std::pow(std::fabs(v), p); }), 1.0 / p);
  });
}

}  // namespace

std::vector<OpEntry> PoolRows() {
  return {
      {"AveragePool", "", 1, kLatest, &ViaFloat<&AveragePool>},
      {"GlobalAveragePool", "", 1, kLatest, &ViaFloat<&GlobalAveragePool>},
      {"GlobalLpPool", "", 2, kLatest, &ViaFloat<&GlobalLpPool>},
      {"GlobalMaxPool", "", 1, kLatest, &ViaFloat<&GlobalMaxPool>},
      {"LpPool", "", 2, kLatest, &ViaFloat<&LpPool>},
      {"MaxPool", "", 1, kLatest, &ViaFloat<&MaxPool>},
      {"MaxUnpool", "", 9, kLatest, &ViaFloat<&MaxUnpool>},
  };
}

}  // namespace roundel::engine
