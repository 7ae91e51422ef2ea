// FakeQuant(x, scale, zero_point) -> x^: rounding to a grid of codes, in float, with scale and zero
// point as values that can be learned; and its gradient by the straight-through estimator.
//
//   z = round(zero_point)   q = clamp(round(x / scale), qmin - z, qmax - z)   x^ = q * scale
//
// which is the arithmetic of quant::Quantize and Dequantize (lib/quant/grid.h), with q counted from the
// zero point. Attributes: qmin, qmax; axis and block_size as in QuantizeLinear (no axis: one scale for
// the tensor).
//
// FakeQuantGrad(dY, x, scale, zero_point) -> dx, dscale, dzero_point. Rounding has derivative 1, so
// that inside of the grid x^ = scale * (x / scale + c) with c = q - x / scale held fixed, and outside
// x^ = scale * q with q = qmin or qmax minus z (Esser 2019, LSQ; Bhalgat 2020, LSQ+):
//
//             dx     dscale              dzero_point
//   inside    dY     dY * (q - x/scale)  0
//   outside   0      dY * q              -dY * scale
//
// LSQ's factor 1 / sqrt(n * qmax) is not applied: it belongs to the step size of the optimizer.
#pragma GCC optimize("O3")

#include <algorithm>
#include <cmath>

#include "lib/base/vectorize.h"
#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/gradient.h"
#include "lib/ops/kernels/kernels.h"

namespace roundel::engine {
namespace {

// x as [outer, dim, inner]; the scale as [blocks of dim] or [outer, blocks of dim, inner].
struct ScaleAxes {
  int64_t outer = 1, dim = 1, inner = 1;
  int64_t block = 1, blocks = 1;  // indices of dim that share a scale, and their number
  bool by_column = false;         // each outer and inner index has scales of its own

  // One scale for consecutive elements: calls f(first element, count, scale). Else the scales of a row
  // of `inner` elements are consecutive, too: calls g(first element, first scale).
  template <typename F, typename G>
  void ForEachRow(int64_t begin, int64_t end, const F& f, const G& g) const {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t first = unit % blocks * block, length = std::min(block, dim - first);
      const int64_t start = (unit / blocks * dim + first) * inner;
      if (!by_column)
        f(start, length * inner, unit % blocks);
      else if (inner == 1)
        f(start, length, unit);
      else
        for (int64_t row = 0; row < length; ++row) g(start + row * inner, unit * inner);
    }
  }
  int64_t units() const { return outer * blocks; }
};

Status DoesNotFit(const Tensor& x, const Tensor& scale) {
  return ModelError(StrCat("scale of shape ", ShapeString(scale.shape()), " does not fit x ",
                           ShapeString(x.shape()), " with this axis and block_size"));
}

Result<ScaleAxes> ResolveScale(const graph::Node& node, const Tensor& x, const Tensor& scale,
                               const Tensor& zero_point) {
  if (zero_point.size() != scale.size())
    return ModelError(StrCat("zero point ", ShapeString(zero_point.shape()), " for scale ",
                             ShapeString(scale.shape())));
  ScaleAxes axes;
  if (!node.FindAttribute("axis")) {
    axes.inner = x.size();
    if (scale.size() != 1) return DoesNotFit(x, scale);
    return axes;
  }
  ASSIGN_OR_RETURN(const int64_t axis, NormalAxis(node.Int("axis", 0), x.rank()));
  axes.outer = Product(x.shape(), 0, axis);
  axes.dim = x.dim(axis);
  axes.inner = Product(x.shape(), axis + 1, x.rank());
  const int64_t block = node.Int("block_size", 0);
  if (block < 0) return ModelError(StrCat("block_size ", block));
  axes.by_column = block > 0;
  axes.block = std::max<int64_t>(1, block);
  axes.blocks = axes.dim == 0 ? 0 : (axes.dim - 1) / axes.block + 1;
  Shape expected = x.shape();
  expected[axis] = axes.blocks;
  if (block > 0 ? scale.shape() != expected : scale.size() != axes.dim) return DoesNotFit(x, scale);
  if (block > 0 || axes.inner != 1) return axes;
  // The scales are a row for all rows before the last axis.
  return ScaleAxes{
      .dim = axes.outer, .inner = axes.dim, .block = axes.outer, .blocks = 1, .by_column = true};
}

// The codes, counted from the zero point.
struct Codes {
  float qmin, qmax;
  explicit Codes(const graph::Node& node)
      : qmin(static_cast<float>(node.Int("qmin", 0))),
        qmax(static_cast<float>(node.Int("qmax", 255))) {}
};

inline float Quantized(float x, float scale, float low, float high) {
  float q = std::nearbyint(x / scale);
  q = q > low ? q : low;
  return (q < high ? q : high) * scale;
}

ROUNDEL_VECTORIZE
void QuantizeRow(const float* x, int64_t n, float scale, float point, Codes codes, float* to) {
  const float z = std::nearbyint(point), low = codes.qmin - z, high = codes.qmax - z;
  for (int64_t i = 0; i < n; ++i) to[i] = Quantized(x[i], scale, low, high);
}

ROUNDEL_VECTORIZE
void QuantizeColumns(const float* x, int64_t n, const float* scales, const float* points,
                     Codes codes, float* to) {
  for (int64_t i = 0; i < n; ++i) {
    const float z = std::nearbyint(points[i]);
    to[i] = Quantized(x[i], scales[i], codes.qmin - z, codes.qmax - z);
  }
}

Status FakeQuant(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 3));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2}));
  const Tensor &x = *context.input(0), &scale = *context.input(1), &point = *context.input(2);
  ASSIGN_OR_RETURN(const ScaleAxes axes, ResolveScale(context.node(), x, scale, point));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  const float *from = x.data<float>(), *scales = scale.data<float>(), *points = point.data<float>();
  float* to = y->mutable_data<float>();
  const Codes codes(context.node());
  const auto row = [&](int64_t start, int64_t n, int64_t s) {
    QuantizeRow(from + start, n, scales[s], points[s], codes, to + start);
  };
  if (axes.units() == 1 && !axes.by_column) {
    ParallelFor(x.size(), kGrain, [&](int64_t begin, int64_t end) { row(begin, end - begin, 0); });
    return OkStatus();
  }
  const int64_t grain = RowGrain(axes.block * axes.inner);
  ParallelFor(axes.units(), grain, [&](int64_t begin, int64_t end) {
    axes.ForEachRow(begin, end, row, [&](int64_t start, int64_t s) {
      QuantizeColumns(from + start, axes.inner, scales + s, points + s, codes, to + start);
    });
  });
  return OkStatus();
}

// ---- the gradient

// What one element adds to the gradients of scale and zero point (the latter without its factor).
struct Slope {
  float inside, scale;
};
inline Slope SlopeOf(float x, float scale, float low, float high) {
  const float ratio = x / scale, q = std::nearbyint(ratio);
  const bool below = !(q >= low), above = q > high;
  return {below || above ? 0.0f : 1.0f, below ? low : above ? high : q - ratio};
}

ROUNDEL_VECTORIZE
void GradientOfRow(const float* dy, const float* x, int64_t n, float scale, float point,
                   Codes codes, float* dx, double* scale_sum, double* point_sum) {
  constexpr int64_t kVectorLanes = 16;
  const float z = std::nearbyint(point), low = codes.qmin - z, high = codes.qmax - z;
  double scales[kVectorLanes] = {}, points[kVectorLanes] = {};
  for (int64_t i = 0; i < n; i += kVectorLanes) {
    const int64_t lanes = std::min(kVectorLanes, n - i);
    for (int64_t k = 0; k < lanes; ++k) {
      const float d = dy[i + k];
      const Slope slope = SlopeOf(x[i + k], scale, low, high);
      dx[i + k] = slope.inside != 0.0f ? d : 0.0f;
      scales[k] += static_cast<double>(d) * static_cast<double>(slope.scale);
      points[k] += static_cast<double>(d) * static_cast<double>(slope.inside - 1.0f);
    }
  }
  for (int64_t k = 0; k < kVectorLanes; ++k) {
    *scale_sum += scales[k];
    *point_sum += points[k] * static_cast<double>(scale);
  }
}

ROUNDEL_VECTORIZE
void GradientOfColumns(const float* dy, const float* x, int64_t n, const float* scales,
                       const float* points, Codes codes, float* dx, double* scale_sums,
                       double* point_sums) {
  for (int64_t i = 0; i < n; ++i) {
    const float z = std::nearbyint(points[i]);
    const Slope slope = SlopeOf(x[i], scales[i], codes.qmin - z, codes.qmax - z);
    dx[i] = slope.inside != 0.0f ? dy[i] : 0.0f;
    scale_sums[i] += static_cast<double>(dy[i]) * static_cast<double>(slope.scale);
    point_sums[i] += static_cast<double>(dy[i]) * static_cast<double>(slope.inside - 1.0f) *
                     static_cast<double>(scales[i]);
  }
}

Status FakeQuantGrad(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 4));
  RETURN_IF_ERROR(RequireFloat(context, {0, 1, 2, 3}));
  const Tensor &dy = *context.input(0), &x = *context.input(1);
  const Tensor &scale = *context.input(2), &point = *context.input(3);
  ASSIGN_OR_RETURN(const ScaleAxes axes, ResolveScale(context.node(), x, scale, point));
  RETURN_IF_ERROR(RequireShape(context, 0, x.shape()));
  Tensor unwanted;
  Tensor* dx = &unwanted;
  if (context.wants(0)) {
    ASSIGN_OR_RETURN(dx, NewOutput(context, 0, DType::kFloat, x.shape()));
  } else {
    unwanted = Tensor::Empty(DType::kFloat, x.shape());
  }
  ASSIGN_OR_RETURN(std::vector<double> scale_sums, NewSums(scale.shape()));
  ASSIGN_OR_RETURN(std::vector<double> point_sums, NewSums(scale.shape()));
  const float *d = dy.data<float>(), *from = x.data<float>();
  const float *scales = scale.data<float>(), *points = point.data<float>();
  float* to = dx->mutable_data<float>();
  const Codes codes(context.node());
  // Row by row: the order of the sums is that of the elements.
  axes.ForEachRow(
      0, axes.units(),
      [&](int64_t start, int64_t n, int64_t s) {
        GradientOfRow(d + start, from + start, n, scales[s], points[s], codes, to + start,
                      &scale_sums[s], &point_sums[s]);
      },
      [&](int64_t start, int64_t s) {
        GradientOfColumns(d + start, from + start, axes.inner, scales + s, points + s, codes,
                          to + start, &scale_sums[s], &point_sums[s]);
      });
  RETURN_IF_ERROR(StoreSums(context, 1, scale.shape(), scale_sums));
  return StoreSums(context, 2, point.shape(), point_sums);
}

}  // namespace

std::vector<OpEntry> FakeQuantRows() {
  return {
      {"FakeQuant", "roundel", 1, kLatest, &FakeQuant},
      {"FakeQuantGrad", "roundel", 1, kLatest, &FakeQuantGrad},
  };
}

}  // namespace roundel::engine
