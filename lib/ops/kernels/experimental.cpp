// Experimental operators of the first operator sets that converters of that time wrote and that
// later specifications have dropped: Affine, Crop, ImageScaler, ParametricSoftplus, Scale,
// ScaledTanh.

#include <algorithm>
#include <cmath>

#include "lib/ops/kernels/common.h"
#include "lib/ops/kernels/elementwise_unary.h"
#include "lib/ops/kernels/inner_op.h"
#include "lib/ops/kernels/kernels.h"
#include "lib/ops/kernels/via_float.h"

namespace roundel::engine {
namespace {

Status Affine(OpContext& context) {
  const float a = context.node().Float("alpha", 1), b = context.node().Float("beta", 0);
  return MapFloats(context, [a, b](auto x) {
    using T = decltype(x);
    return T{a} * x + T{b};
  });
}

Status ParametricSoftplus(OpContext& context) {
  const float a = context.node().Float("alpha", 1), b = context.node().Float("beta", 1);
  return MapFloats(context, [a, b](auto x) {
    using T = decltype(x);
    const T y = T{b} * x;
    return T{a} * (std::max(y, T{0}) + std::log1p(std::exp(-std::fabs(y))));
  });
}

Status Scale(OpContext& context) {
  return MapFloats(context,
                   [s = context.node().Float("scale", 1)](auto x) { return decltype(x){s} * x; });
}

Status ScaledTanh(OpContext& context) {
  const float a = context.node().Float("alpha", 1), b = context.node().Float("beta", 1);
  return MapFloats(context, [a, b](auto x) {
    using T = decltype(x);
    return T{a} * std::tanh(T{b} * x);
  });
}

// y = x * scale + bias[channel] of images [N, C, H, W].
Status ImageScaler(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  RETURN_IF_ERROR(RequireFloat(context, {0}));
  const Tensor& x = *context.input(0);
  const std::vector<float> bias = context.node().Floats("bias");
  const float scale = context.node().Float("scale", 1);
  if (x.rank() != 4 || static_cast<int64_t>(bias.size()) != x.dim(1))
    return ModelError(
        StrCat("bias of ", bias.size(), " values for images of shape ", ShapeString(x.shape())));
  ASSIGN_OR_RETURN(Tensor * y, NewOutput(context, 0, DType::kFloat, x.shape()));
  const int64_t plane = x.dim(2) * x.dim(3), channels = x.dim(1);
  const float* from = x.data<float>();
  float* to = y->mutable_data<float>();
  ParallelFor(x.dim(0) * channels, RowGrain(plane), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * plane; i < end * plane; ++i)
      to[i] = from[i] * scale + bias[i / plane % channels];
  });
  return OkStatus();
}

// Crops borders (left, top, right, bottom) of images [N, C, H, W], or takes a part of size `scale`
// from (left, top).
Status Crop(OpContext& context) {
  RETURN_IF_ERROR(RequireInputs(context, 1));
  const Tensor& x = *context.input(0);
  const std::vector<int64_t> border = context.node().Ints("border");
  const std::vector<int64_t> size = context.node().Ints("scale");
  const auto misfit = [&] {
    return ModelError(StrCat("border [", Join(border), "] and scale [", Join(size),
                             "] do not fit images of shape ", ShapeString(x.shape())));
  };
  if (x.rank() != 4 || border.size() != 4 || (!size.empty() && size.size() != 2)) return misfit();
  std::vector<int64_t> starts, ends;
  for (size_t i = 0; i < 2; ++i) {
    const int64_t length = x.dim(static_cast<int64_t>(2 + i)), start = border[1 - i];
    const int64_t tail = border[3 - i];
    if (start < 0 || start > length || tail < 0 || tail > length) return misfit();
    if (!size.empty() && (size[i] < 0 || size[i] > length - start)) return misfit();
    starts.push_back(start);
    ends.push_back(size.empty() ? length - tail : start + size[i]);
    if (ends[i] < start) return misfit();
  }
  ASSIGN_OR_RETURN(Tensor y, RunInnerOp("Slice", {x, Tensor::FromVector<int64_t>({2}, starts),
                                                  Tensor::FromVector<int64_t>({2}, ends),
                                                  Tensor::FromVector<int64_t>({2}, {2, 3})}));
  context.SetOutput(0, std::move(y));
  return OkStatus();
}

}  // namespace

std::vector<OpEntry> ExperimentalRows() {
  return {
      {"Affine", "", 1, kLatest, &Affine},
      {"Crop", "", 1, kLatest, &Crop},
      {"ImageScaler", "", 1, kLatest, &ViaFloat<&ImageScaler>},
      {"ParametricSoftplus", "", 1, kLatest, &ParametricSoftplus},
      {"Scale", "", 1, kLatest, &Scale},
      {"ScaledTanh", "", 1, kLatest, &ScaledTanh},
  };
}

}  // namespace roundel::engine
