// Resize and Upsample: nearest, linear and cubic interpolation, with antialiasing, in every
// coordinate mode of opset 19. All modes are separable: each axis is resized separately, with a
// list of weighted source positions per output position.
#pragma GCC optimize("O3")

#include <algorithm>
#include <cmath>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/resize_taps.h"
#include "lib/ops/kernels/types.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

using namespace resize;

// ---- one axis at a time

// The last axis: each output element is a short sum within its row.
void ResizeRow(const float* from, const std::vector<Taps>& taps, float extrapolation, float* to) {
  for (const Taps& tap : taps) {
    float sum = tap.outside ? extrapolation : 0.0f;
    for (size_t k = 0; k < tap.positions.size() && !tap.outside; ++k)
      sum += tap.weights[k] * from[tap.positions[k]];
    *to++ = sum;
  }
}

// Any other axis: a sum of whole rows of `inner` elements.
void ResizeLine(const float* plane, const Taps& tap, float extrapolation, int64_t inner,
                float* line) {
  if (tap.outside) {
    std::fill(line, line + inner, extrapolation);
    return;
  }
  if (tap.positions.size() == 1 && tap.weights[0] == 1.0f) {
    std::copy_n(plane + tap.positions[0] * inner, inner, line);
    return;
  }
  std::fill(line, line + inner, 0.0f);
  for (size_t k = 0; k < tap.positions.size(); ++k) {
    const float weight = tap.weights[k];
    const float* from = plane + tap.positions[k] * inner;
    for (int64_t i = 0; i < inner; ++i) line[i] += weight * from[i];
  }
}

// x [outer, from, inner] -> [outer, to, inner]
Tensor ResizeAxis(const Tensor& x, int64_t axis, const std::vector<Taps>& taps,
                  float extrapolation) {
  Shape shape = x.shape();
  const int64_t from = shape[axis], to = static_cast<int64_t>(taps.size());
  const int64_t outer = Product(shape, 0, axis), inner = Product(shape, axis + 1, x.rank());
  shape[axis] = to;
  Tensor y = Tensor::Empty(DType::kFloat, shape);
  const float* source = x.data<float>();
  float* target = y.mutable_data<float>();
  if (inner == 1) {
    ParallelFor(outer, RowGrain(to), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        ResizeRow(source + row * from, taps, extrapolation, target + row * to);
    });
    return y;
  }
  ParallelFor(outer * to, RowGrain(inner), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      ResizeLine(source + row / to * from * inner, taps[row % to], extrapolation, inner,
                 target + row * inner);
  });
  return y;
}

Result<Tensor> ResizeAll(const Tensor& x, const Settings& settings,
                         const std::vector<AxisSpec>& axes) {
  Tensor result = x;
  // Extrapolated values are unchanged by the axes that follow, because weights add up to 1.
  for (size_t i = 0; i < axes.size(); ++i) {
    Shape shape = result.shape();
    shape[i] = axes[i].to;
    RETURN_IF_ERROR(CheckSize(DType::kFloat, shape));
    const std::vector<Taps> taps = TapsOf(settings, axes[i]);
    if (IsIdentity(taps, axes[i].from)) continue;
    result = ResizeAxis(result, static_cast<int64_t>(i), taps,
                        static_cast<float>(settings.extrapolation));
  }
  return result;
}

Status Resize(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  ASSIGN_OR_RETURN(const Settings settings, ReadSettings(context));
  ASSIGN_OR_RETURN(const std::vector<AxisSpec> axes, ResolveAxes(context, settings));
  const Tensor& x = *context.input(0);
  const DType type = x.dtype();
  if (type != DType::kFloat && type != DType::kInt8 && type != DType::kUint8 &&
      type != DType::kInt32)
    return UnsupportedType(type);
  ASSIGN_OR_RETURN(const Tensor resized, ResizeAll(x.ToFloat(), settings, axes));
  if (type == DType::kFloat) {
    context.SetOutput(0, resized);
    return OkStatus();
  }
  return VisitInteger(type, [&](auto tag) -> Status {
    using T = typename decltype(tag)::Type;
    ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, type, resized.shape()));
    for (int64_t i = 0; i < resized.size(); ++i)
      y->mutable_data<T>()[i] = ConvertTo<T>(std::nearbyint(resized.data<float>()[i]));
    return OkStatus();
  });
}

}  // namespace

std::vector<OpEntry> ResizeRows() {
  return {
      {"Resize", "", 10, kLatest, &ViaFloat<&Resize>},
      {"Upsample", "", 7, 9, &ViaFloat<&Resize>},
  };
}

}  // namespace roundel::engine
